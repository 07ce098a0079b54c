"""Where a contract's backup goes."""

from __future__ import annotations

from constructs_lib.contracts.model import AppContract
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.spec.terms import BackupTargetSpec


def target_of(contract: AppContract, plan: ClusterPlan) -> tuple[str, BackupTargetSpec] | None:
    """The target's name and settings: the one that is named, or the only one; None where there is none."""
    backup, targets = contract.ops.backup, plan.terms.backups
    if backup is None:
        return None
    name = backup.to or (next(iter(targets)) if len(targets) == 1 else None)
    return (name, targets[name]) if name is not None and name in targets else None


def references(target: BackupTargetSpec) -> tuple[str, ...]:
    """The secrets that a job needs to reach the target, each once."""
    return tuple(dict.fromkeys((target.password, *target.credentials.values())))


def repository(contract: AppContract, target: BackupTargetSpec, cluster: str) -> str:
    """The contract's own repository: one that is locked or broken stops no other contract's backups."""
    return f"{target.repository.rstrip('/')}/{cluster}/{contract.name}"
