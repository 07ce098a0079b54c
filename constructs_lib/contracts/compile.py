"""Contracts and plan → what the hooks do. No network, no clock, no randomness: same input, same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from constructs_lib.contracts.chronos_jobs import jobs, restores, stops_to_restore
from constructs_lib.contracts.compiled import (
    CanaryCheck,
    Compiled,
    CompiledContract,
    Deployment,
    Instances,
    Route,
    Scaling,
)
from constructs_lib.contracts.load import Loaded
from constructs_lib.contracts.marathon_app import app_version
from constructs_lib.contracts.model import AppContract
from constructs_lib.contracts.ops import CanarySpec, DeploySpec, InstancesSpec
from constructs_lib.contracts.order import started_first
from constructs_lib.contracts.prometheus_rules import groups, targets
from constructs_lib.plan.model import ClusterPlan


def compile_contracts(contracts: Mapping[str, Loaded] | Iterable[AppContract], plan: ClusterPlan) -> Compiled:
    """All contracts, those that others need first. They have been checked (`check.unkept`) before."""
    given = (
        [loaded.contract for loaded in contracts.values()]
        if isinstance(contracts, Mapping)
        else list(contracts)
    )
    by_name = {contract.name: contract for contract in given}
    order = started_first({name: contract.dev.depends_on for name, contract in by_name.items()})
    return Compiled(
        cluster=plan.name, contracts=tuple(compile_contract(by_name[name], plan) for name in order)
    )


def compile_contract(contract: AppContract, plan: ClusterPlan) -> CompiledContract:
    """One contract."""
    app, rules = app_version(contract, plan), groups(contract, plan)
    return CompiledContract(
        name=contract.name,
        cluster=plan.name,
        owner=contract.owner,
        app=app,
        instances=_instances(contract.ops.instances),
        deployment=_deployment(contract.ops.deploy, app.version),
        depends_on=contract.dev.depends_on,
        route=_route(contract),
        service=_service(contract),
        jobs=jobs(contract, plan),
        restores=restores(contract, plan),
        stops_to_restore=stops_to_restore(contract, plan),
        settings=_settings(contract, app.version),
        rules=tuple({"name": group.name, "rules": list(group.rules)} for group in rules),
        rule_sites={group.name: group.sites for group in rules},
        targets=targets(contract),
    )


def _service(contract: AppContract) -> str | None:
    return contract.name if contract.dev.image and contract.dev.ports else None


def _instances(spec: InstancesSpec) -> Instances:
    scaling = None
    if spec.follow:
        scaling = Scaling(signal=spec.follow, target=spec.target, offset=spec.offset)
    return Instances(min=spec.min, max=spec.max, scaling=scaling)


def _deployment(spec: DeploySpec, version: str) -> Deployment:
    canary = spec.canary or CanarySpec()
    return Deployment(
        strategy=spec.strategy,
        min_healthy=float(spec.min_healthy_seconds),
        progress_deadline=float(spec.progress_deadline_seconds),
        drain_timeout=float(spec.drain_seconds),
        on_drain_timeout=spec.on_drain_timeout,
        surge=spec.surge,
        canary_percent=canary.percent,
        canary_instances=canary.instances,
        canary_seconds=float(canary.seconds),
        canary_min_requests=canary.min_requests,
        promote=canary.promote,
        checks=tuple(
            CanaryCheck(
                name=check.name,
                query=check.query.replace("$version", version),
                lower=check.lower,
                upper=check.upper,
                dry_run=check.dry_run,
            )
            for check in canary.checks
        ),
    )


def _route(contract: AppContract) -> Route | None:
    route = contract.ops.route
    if route is None:
        return None
    return Route(host=route.host, path=route.path, service=contract.name, smoke=route.smoke)


def _settings(contract: AppContract, version: str) -> dict[str, str]:
    """One document, for whoever looks: whose it is, and what it is now."""
    document = {
        "owner": contract.owner,
        "on_call": contract.on_call or contract.owner,
        "version": version,
        "image": contract.dev.image,
        "depends_on": list(contract.dev.depends_on),
        "policy": contract.ops.policy,
        "host": contract.ops.route.host if contract.ops.route else None,
    }
    return {f"contracts/{contract.name}": json.dumps(document, sort_keys=True)}
