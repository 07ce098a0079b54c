"""The bodies of versions that were deployed and found good: what `clustermesos rollback` can go back to.

One document per contract in the home site's Consul, `clustermesos/versions/NAME`, newest first. A version
that never was good is in none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, Protocol

from constructs_lib.contracts.compiled import KV_PREFIX, AppVersion, CompiledContract
from constructs_lib.errors import HookError
from constructs_lib.hooks.observed import Progress

VERSIONS: Final = f"{KV_PREFIX}versions/"
KEPT = 5
_SHOWN_ONLY = (
    *("instances", "version", "versionInfo", "deployments", "tasks", "taskStats", "lastTaskFailure"),
    *("readinessCheckResults", "tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy", "uris"),
)
"""What Marathon adds to an app that it shows (`appInfo.raml`), and the number, which the strategy decides."""


class Store(Protocol):
    """The part of py-consul's key/value store that is used."""

    kv: Any


def remember(store: Store, contract: CompiledContract) -> None:
    """Keep the contract's version as the newest good one; writes nothing where it is that already."""
    kept = stored(store, contract.name)
    newest = next(iter(kept), None)
    if newest == contract.app.version:
        return
    others = {name: body for name, body in kept.items() if name != contract.app.version}
    versions = [(contract.app.version, contract.app.body), *others.items()][:KEPT]
    document = [{"version": name, "body": dict(body)} for name, body in versions]
    store.kv.put(f"{VERSIONS}{contract.name}", json.dumps(document, sort_keys=True))


def stored(store: Store, name: str) -> dict[str, Mapping[str, Any]]:
    """Version → body, newest first; empty where nothing was kept, or somebody broke it by hand."""
    _, entry = store.kv.get(f"{VERSIONS}{name}")
    try:
        found = json.loads((entry or {}).get("Value") or b"[]")
        return {str(one["version"]): one["body"] for one in found if isinstance(one["body"], dict)}
    except (ValueError, LookupError, TypeError):
        return {}


def former(
    store: Store,
    contract: CompiledContract,
    running: str | None,
    wanted: str | None,
    refused: Mapping[str, str] = MappingProxyType({}),
) -> CompiledContract:
    """The contract with the version to go back to: `wanted`, else the newest good one that is not `running`.

    `refused` are those that were rolled back, or turned round, since they were good, and why: rolling back
    twice must not end where it began. HookError with those that there are.
    """
    kept = stored(store, contract.name)
    if wanted in kept and wanted in refused:
        raise HookError(
            f"{contract.name}: version {wanted} was given up: {refused[wanted]}; rollback {contract.name} "
            f"--to {wanted} --force tries it all the same"
        )
    candidates = [name for name in kept if name not in (running, *refused)]
    chosen = wanted or next(iter(candidates), None)
    if chosen is None or chosen not in kept:
        known = ", ".join(candidates) or "none"
        raise HookError(
            f"{contract.name}: no version {chosen or ''} to go back to".replace("  ", " ")
            + f"; found good before: {known}"
            + "".join(f"; {name} was given up: {refused[name]}" for name in kept if name in refused)
            + (" (--force takes any version that Marathon still has)" if wanted else "")
        )
    return _at_once(_with(contract, chosen, kept[chosen]))


def under_way(store: Store, contract: CompiledContract, progress: Progress) -> str | None:
    """The version that a rollback leads to which is not finished: the same command again goes on with it."""
    goes = not progress.done and progress.turned is None and progress.version != contract.app.version
    return progress.version if goes and progress.version in stored(store, contract.name) else None


def _at_once(contract: CompiledContract) -> CompiledContract:
    """What was good before is no canary: that gets a share of the requests, and the bad version the rest."""
    if contract.deployment.strategy != "canary":
        return contract
    return replace(contract, deployment=replace(contract.deployment, strategy="rolling"))


def forced(
    there: Mapping[str, Mapping[str, Any]], contract: CompiledContract, wanted: str
) -> CompiledContract:
    """The contract with a version that Marathon still has, whether it ever was good or not.

    `there` is version → app as Marathon shows it: what turned round is kept without instances. HookError with
    those that there are.
    """
    if wanted not in there:
        known = ", ".join(sorted(there)) or "none"
        raise HookError(
            f"{contract.name}: Marathon has no version {wanted}; it still has: {known} (another one is "
            "deployed by its contract: clustermesos apply --retry)"
        )
    body = {name: value for name, value in there[wanted].items() if name not in _SHOWN_ONLY}
    return _with(contract, wanted, body)


def _with(contract: CompiledContract, version: str, body: Mapping[str, Any]) -> CompiledContract:
    app = AppVersion(
        id=str(body.get("id", f"/{contract.name}/{version}")),
        version=version,
        body=body,
        checked=bool(body.get("healthChecks")),
    )
    return replace(contract, app=app)
