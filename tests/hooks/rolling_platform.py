"""A platform to deploy on: a simulated Marathon with time that a test turns, and a real Consul."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from constructs_lib.contracts.compiled import AppVersion, Compiled, CompiledContract, Deployment, Instances
from constructs_lib.hooks.agents import Agents
from constructs_lib.hooks.applications import Applications
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Clock, Deadline
from constructs_lib.hooks.edge import Edges
from constructs_lib.hooks.endpoints import Endpoints
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.marathon import Marathon
from constructs_lib.hooks.mesos import Mesos
from constructs_lib.hooks.platform import Platform as Connected
from constructs_lib.hooks.rollout import Rollout
from constructs_lib.hooks.simulated import simulators
from constructs_lib.hooks.usage import History, Usage
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster.cluster import SimulatedCluster
from constructs_lib.simulator.cluster.endpoints_file import endpoints
from constructs_lib.spec.load import load
from scripts.progress import ROOT
from tests.hooks.consul_server import ConsulServer

NAMES = (f"app-{number}" for number in itertools.count())


class NoEdges:
    def look(self) -> tuple[()]:
        return ()


@dataclass
class Platform:
    cluster: SimulatedCluster
    consul: ConsulServer
    name: str = field(default_factory=lambda: next(NAMES))
    told: list[str] = field(default_factory=list)

    def deadline(self, seconds: float = 5000.0) -> Deadline:
        return Deadline(seconds, Clock(now=self.cluster.now, sleep=self.cluster.advance))

    def consul_client(self) -> Consul:
        return Consul(
            Client(Target(name="consul", bases=(self.consul.url,)), Deadline(60)), self.consul.token
        )

    def rollout(self, *, edges: Edges | None = None, **other: Any) -> Rollout:
        target = Target(name="marathon", bases=self.cluster.urls("marathon"))
        return Rollout(
            marathon=Marathon(Client(target, self.deadline())),
            sites={"eu": self.consul_client()},
            home="eu",
            edges=edges or NoEdges(),
            now=self.cluster.now,
            **other,
        )

    def endpoints(self) -> Endpoints:
        return simulators(endpoints(self.cluster)["instances"])

    def connected(self, consul: str | None = None, edge: str | None = None) -> Connected:
        """What a command of the command line has, until its context ends; `consul` is another URL."""
        instances = endpoints(self.cluster, {"eu": consul or self.consul.url})["instances"]
        found = simulators({**instances, **({"edge/eu": [edge]} if edge else {})})
        return Connected(
            plan(load(ROOT / "cluster.yaml")), found, self.deadline(600), {"eu": self.consul.token}
        )

    def agents(self) -> Agents:
        mesos = Mesos(Client(Target(name="mesos", bases=self.cluster.urls("mesos")), self.deadline()))
        return Agents(plan(load(ROOT / "cluster.yaml")), mesos, self.endpoints(), self.deadline())

    def usage(self, contract: CompiledContract, history: History | None = None) -> Usage:
        rollout = self.rollout()
        return Usage(
            marathon=rollout.marathon,
            agents=self.agents(),
            owners=[(contract.cluster, contract.name)],
            now=self.cluster.now,
            sleep=self.cluster.advance,
            history=history or History(),
        )

    def applications(
        self, *contracts: CompiledContract, edges: Edges | None = None, **other: Any
    ) -> Applications:
        rollout = self.rollout(edges=edges)
        compiled = Compiled(cluster="shop", contracts=contracts)
        return Applications(
            rollout.marathon,
            compiled,
            rollout.deploy,
            pending=rollout.pending,
            number=rollout.number,
            refused=rollout.refused,
            empty=rollout.empty,
            forget=rollout.forget,
            recorded=rollout.recorded,
            **other,
        )

    def contract(self, version: str, strategy: Any = "rolling", **other: Any) -> CompiledContract:
        labels = {"cluster": "shop", "contract": self.name, "version": version}
        body = {
            "cmd": "run",
            "cpus": 0.1,
            "mem": 32,
            "labels": {f"clustermesos/{key}": value for key, value in labels.items()},
            "healthChecks": [
                {
                    "protocol": "COMMAND",
                    "command": {"value": "true"},
                    "gracePeriodSeconds": 5,
                    "intervalSeconds": 2,
                    "timeoutSeconds": 1,
                }
            ],
            "constraints": [["@region", "IS", "eu"]],
        }
        return CompiledContract(
            name=self.name,
            cluster="shop",
            owner="shop@example.org",
            app=AppVersion(id=f"/{self.name}/{version}", version=version, body=body, checked=True),
            instances=Instances(min=2, max=6),
            deployment=Deployment(strategy=strategy, min_healthy=3.0, progress_deadline=60.0, **other),
        )

    def deploy(self, contract: CompiledContract, seconds: float = 5000.0, **other: Any) -> Any:
        return self.rollout(**other).deploy(contract, self.deadline(seconds), self.told.append)

    def running(self) -> dict[str, int]:
        """By version, once Marathon has done what it was told."""
        self.cluster.advance(10)
        apps = {app["id"].rpartition("/")[2]: app for app in self.rollout().marathon.apps()}
        ours = {version: app for version, app in apps.items() if app["id"].startswith(f"/{self.name}/")}
        return {version: len(app["tasks"]) for version, app in ours.items()}
