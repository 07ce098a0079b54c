"""The simulator for the hooks' tests: sleeping is what lets its time pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from constructs_lib.contracts.compiled import (
    LABEL,
    AppVersion,
    Compiled,
    CompiledContract,
    Deployment,
    Instances,
)
from constructs_lib.hooks.chronos import Chronos
from constructs_lib.hooks.deadline import Clock, Deadline
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.marathon import Marathon
from constructs_lib.simulator.cluster import SimulatedCluster

CLUSTER = "demo"


def clock_of(sim: SimulatedCluster) -> Clock:
    return Clock(now=sim.now, sleep=sim.advance)


def client_of(sim: SimulatedCluster, program: str, seconds: float = 600, **target: Any) -> Client:
    where = Target(name=program, bases=sim.urls(program), **target)
    return Client(where, Deadline(seconds, clock_of(sim)), rng=lambda: 0.5)


def time_of(chronos: Chronos) -> float:
    """The simulator's time, whose Chronos it is."""
    return chronos.client.deadline.clock.now()


@contextmanager
def marathon_of(sim: SimulatedCluster, seconds: float = 600) -> Iterator[Marathon]:
    with closing(client_of(sim, "marathon", seconds)) as client:
        yield Marathon(client)


def contract(name: str, version: str = "1a2b3c4d", *, count: int = 2, **fields: Any) -> CompiledContract:
    """A contract whose body asks little; `body` changes that."""
    body = {
        "id": f"/{name}/{version}",
        "cmd": "sleep 1",
        "cpus": 0.1,
        "mem": 32,
        "constraints": [["@region", "LIKE", "eu"]],
        "labels": {f"{LABEL}/cluster": CLUSTER, f"{LABEL}/contract": name, f"{LABEL}/version": version},
        "healthChecks": [{"protocol": "MESOS_HTTP", "path": "/", "portIndex": 0}],
        **fields.pop("body", {}),
    }
    return CompiledContract(
        name=name,
        cluster=CLUSTER,
        owner=f"{name}@example.org",
        app=AppVersion(id=str(body["id"]), version=version, body=body, checked=True),
        instances=Instances(min=count, max=max(count, fields.pop("most", count))),
        deployment=fields.pop("deployment", Deployment(strategy="rolling")),
        **fields,
    )


def compiled(*contracts: CompiledContract) -> Compiled:
    return Compiled(cluster=CLUSTER, contracts=contracts)
