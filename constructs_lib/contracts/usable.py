"""The contracts that can be gone by although others in their folder are wrong.

What changes many of them at once (plan, apply) demands that all are right. Whoever looks at one application,
or takes one back at night, must not be kept from it by what somebody else has just written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath

from constructs_lib.contracts.check import unkept
from constructs_lib.contracts.load import Loaded, read_contracts
from constructs_lib.errors import ContractError, Problem
from constructs_lib.plan.model import ClusterPlan


@dataclass(frozen=True, kw_only=True)
class Usable:
    """Contracts by name, and all that is wrong with the files that are left out."""

    contracts: Mapping[str, Loaded]
    problems: tuple[Problem, ...]

    @property
    def left_out(self) -> str:
        """What is left out, in one line; empty where nothing is."""
        if not self.problems:
            return ""
        files = len({one.file for one in self.problems})
        return f"{files} file{' is' if files == 1 else 's are'} wrong and left out: {self.problems[0]}"


def usable_contracts(folder: FilePath, plan: ClusterPlan, names: Collection[str] = ()) -> Usable:
    """The contracts of `folder` that are right and that the cluster can keep.

    ContractError where one of `names` is wrong, with what is wrong about it, and where there is no telling
    which contracts there are.
    """
    read = read_contracts(folder)
    right = _without(read.contracts, read.problems)
    broken = unkept(right, plan)
    problems = (*read.problems, *broken)
    asked = [one for one in problems if FilePath(one.file).stem in names or one.file == str(folder)]
    if asked:
        raise ContractError(asked)
    return Usable(contracts=_without(right, broken), problems=problems)


def _without(contracts: Mapping[str, Loaded], problems: Collection[Problem]) -> dict[str, Loaded]:
    wrong = {one.file for one in problems}
    return {name: loaded for name, loaded in contracts.items() if loaded.file not in wrong}
