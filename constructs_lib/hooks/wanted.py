"""What a contract asks for of its newest version, as strategies take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.hooks.documents import Kept
from constructs_lib.hooks.observed import Version, Wanted


@dataclass(frozen=True, kw_only=True)
class Number:
    """How many instances a contract gets, and how that came about where nobody decided it."""

    count: int
    why: str | None = None
    """None where it is the contract's own number, or was decided by load."""
    adopted: bool = False
    """Whether it is what runs, since nothing was ever decided: it is written down once."""


def wanted(contract: CompiledContract, kept: Kept, there: Mapping[str, Version]) -> Wanted:
    """The version, and the number: what the scaler chose, within the contract's bounds."""
    return Wanted(
        version=contract.app.version,
        count=number(contract, kept, {name: version.asked for name, version in there.items()}).count,
        deployment=contract.deployment,
        routed=contract.route is not None,
    )


def number(contract: CompiledContract, kept: Kept, asked: Mapping[str, int]) -> Number:
    """How many instances; `asked` is version → how many Marathon was told to run.

    Who follows load from now on keeps what there is. Only where the record of deployments is gone as well a
    number was lost, and what runs may be the rest of a deployment: then it is as many as there may be.
    """
    least, most = contract.instances.min, contract.instances.max
    if contract.instances.scaling is None:
        return Number(count=least)
    if kept.count is not None:
        return Number(count=min(max(kept.count, least), most))
    if not asked:
        return Number(count=least)
    if not kept.progress_index:
        return Number(count=most, why="what was decided is lost, so it is as many as there may be")
    count = min(max(running(kept, asked), least), most)
    return Number(count=count, why="as many as run, until load decides another number", adopted=True)


def within(contract: CompiledContract, asked: Mapping[str, int]) -> Number:
    """As many as run, within the contract's bounds: where nothing of a number can be kept."""
    least, most = contract.instances.min, contract.instances.max
    scaled = contract.instances.scaling is not None
    return Number(count=min(max(sum(asked.values()), least), most) if scaled else least)


def running(kept: Kept, asked: Mapping[str, int]) -> int:
    """How many instances Marathon was told to run; in a deployment at least what it began with."""
    if kept.progress.done:
        return sum(asked.values())
    return max(kept.progress.floor, *asked.values(), 0)
