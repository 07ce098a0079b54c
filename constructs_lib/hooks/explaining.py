"""Reads what an explanation needs: three requests, whatever the number of applications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.hooks.explain import Explanation, Seen, explain
from constructs_lib.hooks.ours import by_contract, happy
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.restoring import contract_of

Apps = Mapping[str, Mapping[str, Mapping[str, Any]]]


def explain_contract(platform: Platform, compiled: Compiled, name: str) -> Explanation:
    """Why the application of a contract is as it is; UnknownNameError for one that there is not."""
    contract = contract_of(compiled, name)
    apps = by_contract(platform.marathon.apps(), compiled.cluster)
    app = _shown(contract, apps)
    if app is None:
        return _not_there(contract)
    queue = {(one.get("app") or {}).get("id"): one for one in platform.marathon.queue()}
    return explain(
        Seen(
            contract=name,
            app=app,
            queue=queue.get(app.get("id")),
            agents=platform.mesos.agents(),
            home=platform.home,
            wanted=int(app.get("instances", contract.instances.min)),
            blocked_by=blockers(contract, compiled, apps),
        )
    )


def _shown(contract: CompiledContract, apps: Apps) -> Mapping[str, Any] | None:
    """The wanted version, else whichever runs."""
    versions = apps.get(contract.name, {})
    return versions.get(contract.app.version) or next(iter(versions.values()), None)


def _not_there(contract: CompiledContract) -> Explanation:
    return Explanation(
        contract=contract.name,
        app=contract.app.id,
        good=False,
        why="no version of it was ever deployed, or somebody deleted it",
        facts=(),
        agents=(),
        try_next="clustermesos apply",
    )


def blockers(contract: CompiledContract, compiled: Compiled, apps: Apps) -> tuple[tuple[str, str], ...]:
    """The chain to the first contract that is itself the cause, each with what is wrong with it."""
    for name in contract.depends_on:
        needed = compiled.contract(name)
        if needed is not None and (trouble := _trouble(needed, apps)):
            return ((name, trouble), *blockers(needed, compiled, apps))
    return ()


def _trouble(contract: CompiledContract, apps: Apps) -> str | None:
    versions = apps.get(contract.name, {})
    if not versions:
        return "no version of it was ever deployed"
    serving = sum(happy(app) for app in versions.values())
    if serving >= contract.instances.min:
        return None
    return f"{serving} of {contract.instances.min} instances serve"
