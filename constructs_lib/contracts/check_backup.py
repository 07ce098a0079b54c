"""Whether a backup has somewhere to go, and agents that may have its password."""

from __future__ import annotations

from collections.abc import Iterator

from constructs_lib.components.chronos import CHRONOS
from constructs_lib.contracts.model import AppContract
from constructs_lib.contracts.placement import eligible
from constructs_lib.contracts.targets import references, target_of
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.spec.findings import Finding
from constructs_lib.spec.wording import did_you_mean, one_of


def _target(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    backup, targets = contract.ops.backup, plan.terms.backups
    if backup is None:
        return
    if not targets:
        yield Finding(
            ("ops", "backup"),
            "has nowhere to go, expected a target in cluster.yaml: `backups: {offsite: {repository: "
            "s3:https://…, password: backup/password}}`",
        )
    elif backup.to is None and len(targets) > 1:
        there = one_of(f"`to: {name}`" for name in targets)
        yield Finding(("ops", "backup"), f"doesn't say where it goes, expected {there}")
    elif backup.to is not None and backup.to not in targets:
        near = did_you_mean(backup.to, targets)
        hint = f"did you mean {near}?" if near else f"expected {one_of(targets)}"
        yield Finding(
            ("ops", "backup", "to"), f"got {backup.to}, which cluster.yaml's backups don't have; {hint}"
        )


def _password(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    found = target_of(contract, plan)
    if found is None:
        return
    name, target = found
    for reference in references(target):
        secret = plan.terms.app_secrets.get(reference)
        if secret is None:
            yield Finding(
                ("ops", "backup"),
                f"goes to {name}, whose secret {reference} cluster.yaml's app_secrets don't have, expected "
                f"`app_secrets: {{{reference}: {{pools: [POOL]}}}}` there",
            )
            continue
        missing = sorted({spot.pool.name for spot in eligible(contract, plan)} - set(secret.pools))
        if missing:
            yield Finding(
                ("ops", "backup"),
                f"goes to {name}, whose secret {reference} the pool {missing[0]} may not have, where the "
                "data is; expected the pool beside the others in cluster.yaml's app_secrets",
            )


def _home(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    """Mesos offers agents of other regions to frameworks alone that say they can use them: Chronos can't."""
    allowed = eligible(contract, plan)
    away = sorted({spot.site.name for spot in allowed if spot.site.name != spot.site.home})
    if contract.ops.backup and away:
        home = allowed[0].site.home
        yield Finding(
            ("ops", "backup"),
            f"can't be made at the site {away[0]}: Chronos gets agents of the home site {home} alone; "
            f"expected `sites: [{home}]`",
        )


def _chronos(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    if contract.ops.backup and not plan.sites[next(iter(plan.sites))].has(CHRONOS):
        yield Finding(
            ("ops", "backup"),
            "is a job of Chronos, which cluster.yaml leaves out, expected `chronos: {enabled: true}`",
        )


CHECKS = (_target, _password, _home, _chronos)
