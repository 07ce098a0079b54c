"""Contracts by the thousand, as the hooks get them."""

from __future__ import annotations

from constructs_lib.contracts.compiled import (
    LABEL,
    AppVersion,
    Compiled,
    CompiledContract,
    Deployment,
    Instances,
)

CLUSTER = "bench"
SITE = "eu"


def many(number: int, changed: int) -> tuple[CompiledContract, ...]:
    """`number` contracts, the first `changed` of them in another version than the rest."""
    return tuple(_one(f"app-{n:04d}", "v2" if n < changed else "v1") for n in range(number))


def compiled(number: int, changed: int) -> Compiled:
    """The same as the compiler gives it."""
    return Compiled(cluster=CLUSTER, contracts=many(number, changed))


def _one(name: str, version: str) -> CompiledContract:
    labels = {"cluster": CLUSTER, "contract": name, "version": version}
    body = {
        "id": f"/{name}/{version}",
        "cmd": f"./serve {version}",
        "cpus": 0.01,
        "mem": 8,
        "env": {"CLUSTERMESOS_CONTRACT": name},
        "labels": {f"{LABEL}/{key}": value for key, value in labels.items()},
        "healthChecks": [{"protocol": "COMMAND", "command": {"value": "true"}, "gracePeriodSeconds": 30}],
        "constraints": [["@region", "LIKE", SITE]],
    }
    return CompiledContract(
        name=name,
        cluster=CLUSTER,
        owner="bench@example.org",
        app=AppVersion(id=f"/{name}/{version}", version=version, body=body, checked=True),
        instances=Instances(min=1, max=1),
        deployment=Deployment(strategy="rolling", min_healthy=1.0),
    )
