"""Whether the cluster can keep the contracts: all that it can't, with the reason, before any change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from constructs_lib.contracts import check_backup, check_between, check_placement, check_policy
from constructs_lib.contracts.load import Loaded, Read
from constructs_lib.contracts.model import AppContract
from constructs_lib.errors import ContractError, Problem
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.spec.findings import Finding

Check = Callable[[AppContract, ClusterPlan], Iterator[Finding]]
_CHECKS: tuple[Check, ...] = (*check_policy.CHECKS, *check_placement.CHECKS, *check_backup.CHECKS)


def unkept(contracts: Mapping[str, Loaded], plan: ClusterPlan) -> tuple[Problem, ...]:
    """Everything that the cluster can't keep, by file and line; empty where it keeps all."""
    found = [
        loaded.problem(finding)
        for loaded in contracts.values()
        for check in _CHECKS
        for finding in check(loaded.contract, plan)
    ]
    together = [
        contracts[name].problem(finding)
        for check in check_between.CHECKS
        for name, finding in check({name: loaded.contract for name, loaded in contracts.items()}, plan)
    ]
    return tuple(sorted([*found, *together], key=lambda one: (one.file, one.line, one.path, one.message)))


def demand(contracts: Mapping[str, Loaded], plan: ClusterPlan) -> None:
    """ContractError with all that the cluster can't keep."""
    problems = unkept(contracts, plan)
    if problems:
        raise ContractError(problems)


def kept(read: Read, plan: ClusterPlan) -> Mapping[str, Loaded]:
    """The contracts; ContractError with all that is wrong by itself, and all that the cluster can't keep.

    Both at once: who mends a file should not hear of the rest by the next run.
    """
    problems = (*read.problems, *unkept(read.contracts, plan))
    if problems:
        raise ContractError(problems)
    return read.contracts
