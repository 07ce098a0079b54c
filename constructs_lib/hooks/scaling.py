"""How many instances load asks for: PaaSTA's proportional rule with its brakes, and why.

Source: Yelp/paasta, `autoscaling/autoscaling_service_lib.py` (proportional, with an offset for load that does
not come from requests). The number is kept in Consul beside the contract, so that no deployment resets it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from constructs_lib.contracts.compiled import CompiledContract, Scaling
from constructs_lib.hooks.documents import Kept

SLOWEST_SHRINK: Final = 0.7
"""A decision leaves at least this share of the present number."""
HEALTHY_ENOUGH: Final = 0.7
"""Below this share of happy instances nothing is taken away: what is missing looks like less load."""
SHRINK_SECONDS: Final = 300.0
"""Nothing is taken away so soon after the number changed: what load does for a minute is no trend."""
GOOD_ENOUGH: Final = 0.1
"""A load that is this near the target, as a share of it, changes nothing."""
_HAIR: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class Load:
    """What was measured of a contract's instances."""

    utilization: Sequence[float]
    """Of each happy instance, 0 to 1. Those that start are left out: their load is not the visitors'."""
    missing: int = 0
    """Happy instances that could not be measured."""
    now: float = 0.0
    """Seconds since 1970."""
    asked: int
    """How many instances there should be now."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A number and how it came about; `count` is None where nothing was decided."""

    count: int | None
    why: str


def decide(contract: CompiledContract, kept: Kept, load: Load) -> Decision:
    """How many instances the contract should have; `why` names every input."""
    scaling, bounds = contract.instances.scaling, contract.instances
    if scaling is None:
        return Decision(count=None, why=f"{contract.name} has a fixed number of instances")
    if not kept.progress.done:
        return Decision(count=None, why=f"frozen: version {kept.progress.version} is being deployed")
    if kept.count is None:
        lost = f"no number is kept: the most that the contract allows, {bounds.max}"
        return Decision(count=bounds.max, why=lost)
    measured, target = len(load.utilization), scaling.target
    if not measured:
        return Decision(count=None, why=f"no instance is measured: stays at {load.asked}")
    # Those that are not measured do at least nothing: such a mean can only speak for more.
    happy = measured + load.missing
    mean = (sum(load.utilization) + load.missing * scaling.offset) / happy
    inputs = (
        f"{scaling.signal} {mean:.2f} of {happy} happy instances{_unmeasured(load)}, target {target:g}, "
        f"offset {scaling.offset:g}, asked {load.asked}, {bounds.min} to {bounds.max}"
    )
    count, brake = _braked(mean, happy, scaling, load)
    if load.missing and count <= load.asked:
        return Decision(count=None, why=f"{inputs}: too little is known, stays at {load.asked}")
    if count < load.asked and (wait := _too_soon(kept, load)):
        count, brake = load.asked, wait
    clamped = min(max(count, bounds.min), bounds.max)
    if clamped != count:
        brake = f"{brake}, within bounds" if brake else "within bounds"
    return Decision(count=clamped, why=f"{inputs} → {clamped}{f' ({brake})' if brake else ''}")


def _unmeasured(load: Load) -> str:
    return f" ({load.missing} not measured, counted as idle)" if load.missing else ""


def _too_soon(kept: Kept, load: Load) -> str:
    since = load.now - kept.counted if kept.counted is not None else SHRINK_SECONDS
    if since >= SHRINK_SECONDS:
        return ""
    return f"it changed {since:.0f} s ago, and nothing is taken away within {SHRINK_SECONDS:.0f} s"


def _braked(mean: float, happy: int, scaling: Scaling, load: Load) -> tuple[int, str]:
    asked, target = load.asked, scaling.target
    if abs(mean - target) <= GOOD_ENOUGH * target:
        return asked, "near enough"
    # Rounded up, unlike PaaSTA: processors that are capped never show more than 1, whatever waits for them,
    # and two instances at 1 would stay two at a target of 0.8.
    count = math.ceil((mean - scaling.offset) * happy / (target - scaling.offset) - _HAIR)
    if count >= asked:
        # Load above the target never takes an instance away, and below it never adds one.
        return (count, "") if mean > target else (asked, "load is below the target")
    if mean >= target:
        return asked, "load is above the target"
    if happy < HEALTHY_ENOUGH * asked:
        return asked, f"only {happy} of {asked} are happy"
    least = -int(-SLOWEST_SHRINK * asked // 1)
    return (count, "") if count >= least else (least, f"at most {1 - SLOWEST_SHRINK:.0%} fewer at once")
