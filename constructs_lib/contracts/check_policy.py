"""Policies of cluster.yaml: what contracts may ask for and have to have, and exceptions with a ticket."""

from __future__ import annotations

from collections.abc import Iterator

from constructs_lib.contracts.model import AppContract
from constructs_lib.contracts.placement import placement_of, policy_of
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.spec.findings import Finding, Path
from constructs_lib.spec.terms import PolicySpec
from constructs_lib.spec.wording import did_you_mean, one_of

_EXCEPTION = "`exceptions: [{{rule: {rule}, reason: …, ticket: …}}]`"


def _known(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    name, policies = contract.ops.policy, plan.terms.policies
    if name is not None and name not in policies:
        near = did_you_mean(name, policies)
        known = f"expected {one_of(policies)}" if policies else "expected none: it has no policy"
        hint = f"did you mean {near}?" if near else known
        yield Finding(("ops", "policy"), f"got {name}, which cluster.yaml's policies don't have; {hint}")


def _kept(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    policy = policy_of(contract, plan)
    excepted = {each.rule: index for index, each in enumerate(contract.ops.exceptions)}
    broken = dict(_broken(contract, plan, policy)) if policy else {}
    for rule, finding in broken.items():
        if rule not in excepted:
            way = _EXCEPTION.format(rule=rule)
            yield Finding(finding.path, f"{finding.message}, or {way}")
    for rule, index in excepted.items():
        if rule not in broken:
            yield Finding(
                ("ops", "exceptions", index), f"excuses {rule}, which is not broken: remove the exception"
            )


def _broken(contract: AppContract, plan: ClusterPlan, policy: PolicySpec) -> Iterator[tuple[str, Finding]]:
    """Rule → what breaks it."""
    name = policy_name(contract, plan)
    placement, strategy = placement_of(contract, plan), contract.ops.deploy.strategy
    if placement not in policy.placements:
        words = f"got {placement}, expected {one_of(policy.placements)} by the policy {name}"
        yield "placement", Finding(("ops", "placement"), words)
    if strategy not in policy.strategies:
        words = f"got {strategy}, expected {one_of(policy.strategies)} by the policy {name}"
        yield "strategy", Finding(("ops", "deploy", "strategy"), words)
    for rule, path, example in _required(contract):
        if rule in policy.require:
            yield rule, Finding(path, f"is required by the policy {name}, expected {example}")


def _required(contract: AppContract) -> Iterator[tuple[str, Path, str]]:
    """Everything that a policy could require and the contract lacks."""
    dev, ops = contract.dev, contract.ops
    if not ops.backup and any(not volume.read_only for volume in dev.volumes.values()):
        yield "backup", ("ops", "backup"), "`backup: {volume: …}`"
    if not dev.health:
        yield "health", ("dev", "health"), "`health: {path: /healthz}`"
    if not contract.on_call:
        yield "on-call", ("on_call",), "`on_call: https://pager.example.org/…`"
    if not ops.alerts:
        yield "alerts", ("ops", "alerts"), "`alerts: {page: true}`"
    if dev.image and "@sha256:" not in dev.image:
        yield "digest", ("dev", "image"), "an image by its digest, IMAGE@sha256:…"


def policy_name(contract: AppContract, plan: ClusterPlan) -> str | None:
    """The name of the contract's policy; None without one."""
    policy = policy_of(contract, plan)
    return next((name for name, each in plan.terms.policies.items() if each is policy), None)


CHECKS = (_known, _kept)
