"""Hot deployment for real: two nginx fed by consul-template from a real Consul, in front of real servers.

Marathon is the simulator, whose tasks run as HTTP servers on this machine; a constant load is counted through
every strategy.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.cli.main import main
from constructs_lib.contracts.compiled import (
    AppVersion,
    Compiled,
    CompiledContract,
    Deployment,
    Instances,
    Route,
)
from constructs_lib.hooks.applications import Applications
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.edge import PlannedEdges
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.marathon import Marathon
from constructs_lib.hooks.observed import Judgement
from constructs_lib.hooks.platform import Platform as Hooked
from constructs_lib.hooks.restoring import restore
from constructs_lib.hooks.rollout import Rollout
from constructs_lib.hooks.simulated import simulators
from constructs_lib.hooks.smoke import smoke_test
from constructs_lib.hooks.steps import End
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster.agents import Agent
from constructs_lib.simulator.cluster.cluster import SimulatedCluster
from constructs_lib.simulator.cluster.endpoints_file import endpoints
from constructs_lib.simulator.cluster.profiles import Profile
from constructs_lib.simulator.cluster.timeline import RunningClock
from constructs_lib.spec.load import load
from scripts.progress import ROOT
from tests.components.edge_here import Edge
from tests.hooks.checked_platform import CLUSTER
from tests.hooks.constant_load import Load, version_of
from tests.hooks.consul_server import ConsulServer
from tests.hooks.real_edges import fronts
from tests.hooks.slow_request import SlowRequest

pytestmark = pytest.mark.slow
LONGEST = 90.0
QUICK = {"min_healthy": 0.2, "progress_deadline": 8.0, "drain_timeout": 1.0, "canary_seconds": 0.5}


class Platform:
    """Everything that a deployment talks to."""

    def __init__(self, consul: ConsulServer, cluster: SimulatedCluster, edges: list[Edge]) -> None:
        self.consul, self.cluster, self.edges = consul, cluster, edges
        self.told: list[str] = []

    def rollout(self, **other: Any) -> Rollout:
        deadline = Deadline(LONGEST)
        target = Target(name="marathon", bases=self.cluster.urls("marathon"))
        sites = {
            "eu": Consul(Client(Target(name="consul", bases=(self.consul.url,)), deadline), self.consul.token)
        }
        instances = tuple(
            Instance(node=f"edge-{number}", site="eu", address="127.0.0.1", port=edge.state)
            for number, edge in enumerate(self.edges, 1)
        )
        return Rollout(
            marathon=Marathon(Client(target, deadline)),
            sites=sites,
            home="eu",
            edges=PlannedEdges(Endpoints(instances={"edge/eu": instances}), sites, deadline),
            pause=0.1,
            **other,
        )

    def deploy(self, contract: CompiledContract, **other: Any) -> End:
        return self.rollout(**other).deploy(contract, Deadline(LONGEST), self.told.append)

    def prune(self, name: str) -> None:
        """As `apply --prune` does once no contract of this name is left."""
        rollout = self.rollout()
        applications = Applications(
            rollout.marathon,
            Compiled(cluster="shop", contracts=()),
            rollout.deploy,
            empty=rollout.empty,
            forget=rollout.forget,
            recorded=rollout.recorded,
            prune=True,
        )
        for change in applications.left_over():
            if name in change.name.split("/"):
                applications.prune(change, self.told.append)

    @contextmanager
    def hooked(self) -> Iterator[Hooked]:
        """What a command of the command line has."""
        found = endpoints(self.cluster, {"eu": self.consul.url})["instances"]
        found |= {name: [one.where for one in all] for name, all in fronts(self.edges).items()}
        with Hooked(CLUSTER, simulators(found), Deadline(LONGEST), {"eu": self.consul.token}) as platform:
            yield platform

    def load(self, contract: CompiledContract, **other: Any) -> Load:
        assert contract.route is not None
        return Load([edge.http for edge in self.edges], contract.route.host, **other)

    def slow(self, contract: CompiledContract, seconds: float) -> SlowRequest:
        """A request of an application, which nobody else may ask anything meanwhile."""
        assert contract.route is not None
        return SlowRequest(self.cluster, self.edges[0].http, contract.route.host, seconds)


def contract(name: str, version: str, strategy: Any, **other: Any) -> CompiledContract:
    labels = {"cluster": "shop", "contract": name, "version": version}
    body = {
        "cpus": 0.1,
        "mem": 32,
        "labels": {f"clustermesos/{key}": value for key, value in labels.items()},
        "container": {
            "type": "DOCKER",
            "docker": {"image": "shop:1"},
            "portMappings": [{"containerPort": 8080, "hostPort": 0}],
        },
        "networks": [{"mode": "container/bridge"}],
        "env": {"SERVICE_8080_NAME": name, "SERVICE_8080_TAGS": f"version={version}"},
        "healthChecks": [{"protocol": "MESOS_HTTP", "path": "/", "portIndex": 0}],
        "constraints": [["@region", "IS", "eu"]],
    }
    return CompiledContract(
        name=name,
        cluster="shop",
        owner="shop@example.org",
        app=AppVersion(id=f"/{name}/{version}", version=version, body=body, checked=True),
        instances=Instances(min=2, max=2),
        deployment=Deployment(strategy=strategy, **{**QUICK, **other}),
        route=Route(host=f"{name}.example.org", path="/", service=name),
        service=name,
    )


@pytest.fixture
def platform(consul_at: ConsulServer, edges: list[Edge]) -> Iterator[Platform]:
    agents = [Agent(hostname=f"agent-{number}", region="eu") for number in (1, 2)]
    registered: Any = {"consul": consul_at.url, "consul_token": consul_at.token}
    with SimulatedCluster(agents, clock=RunningClock(), **registered) as cluster:
        quick = Profile(start_seconds=0.1, healthy_after=0.1, stop_seconds=0.05)
        cluster.profile("*", quick)
        yield Platform(consul_at, cluster, list(edges))


class Analyst:
    """One that always says the same."""

    def __init__(self, says: Any, why: str = "no check failed") -> None:
        self.judgement = Judgement(says=says, why=why)

    def judge(self, *_: object) -> Judgement:
        return self.judgement


@pytest.mark.parametrize("strategy", ["rolling", "blue-green", "canary"])
def test_no_request_is_lost_while_a_version_is_replaced(strategy: str, platform: Platform) -> None:
    name = f"shop-{strategy}"
    old, new = contract(name, "v1aaaaaa", strategy), contract(name, "v2bbbbbb", strategy)
    assert platform.deploy(old).good, platform.told
    with platform.load(old) as load:
        end = platform.deploy(new, analyst=Analyst("good"))
    told = "\n".join(platform.told)

    assert end.good, told
    assert load.lost == {}, told
    for version in ("v1aaaaaa", "v2bbbbbb"):
        assert load.answers["GET", version] and load.answers["POST", version]
    # The websocket has to be opened anew as its instance ends, and how many were cut is said.
    assert load.broken >= 1 and load.echoes
    assert "1 connections cut" in told
    assert {task.owner for task in platform.cluster.tasks()} == {f"/{name}/v2bbbbbb"}


def test_no_request_is_lost_while_a_version_that_crashes_turns_round(platform: Platform) -> None:
    name = "shop-crash"
    old, new = contract(name, "v1aaaaaa", "rolling"), contract(name, "v2bbbbbb", "rolling")
    platform.cluster.profile("*/v2bbbbbb", Profile(start_seconds=0.1, healthy_after=None, fails_after=0.1))
    assert platform.deploy(old).good, platform.told
    untouched = {task.id for task in platform.cluster.tasks()}
    with platform.load(old, websocket=False) as load:
        end = platform.deploy(new)

    assert not end.good and "turned round: crash loop" in end.why, platform.told
    assert "version v1aaaaaa runs again" in end.why
    assert load.lost == {} and load.answers.keys() == {("GET", "v1aaaaaa"), ("POST", "v1aaaaaa")}
    assert {task.id for task in platform.cluster.tasks()} == untouched
    kept = next(app for app in platform.rollout().marathon.apps() if app["id"].endswith("v2bbbbbb"))
    assert kept["instances"] == 0, "for explain"

    before = len(platform.told)
    again = platform.deploy(new)
    assert "was deployed before and turned round" in again.why and len(platform.told) == before


def test_no_request_is_lost_while_a_canary_that_is_worse_turns_round(platform: Platform) -> None:
    name = "shop-worse"
    old = contract(name, "v1aaaaaa", "canary", canary_percent=30)
    new = contract(name, "v2bbbbbb", "canary", canary_percent=30, canary_seconds=600.0)
    analyst = Analyst("undecided", "too early")
    assert platform.deploy(old).good, platform.told
    with platform.load(old, websocket=False) as load:
        ended: list[End] = []
        thread = threading.Thread(target=lambda: ended.append(platform.deploy(new, analyst=analyst)))
        thread.start()
        platform.edges[0].wait("the canary's share", lambda: load.answers["POST", "v2bbbbbb"] > 0)
        analyst.judgement = Judgement(says="bad", why="errors 7, at most 1")
        thread.join(LONGEST)

    assert "the canary is worse: errors 7, at most 1" in ended[0].why, platform.told
    assert load.lost == {}, platform.told
    assert {task.owner for task in platform.cluster.tasks()} == {f"/{name}/v1aaaaaa"}


def test_recreate_has_an_outage_that_ends_and_says_what_it_waits_for(platform: Platform) -> None:
    name = "shop-recreate"
    old, new = contract(name, "v1aaaaaa", "recreate"), contract(name, "v2bbbbbb", "recreate")
    assert platform.deploy(old).good, platform.told
    with platform.load(old, websocket=False) as load:
        end = platform.deploy(new)
        platform.edges[0].wait("the new version", lambda: load.answers["POST", "v2bbbbbb"] > 0)

    assert end.good, platform.told
    # The edge's own page, and never a request that was begun and lost.
    assert {said for _, said in load.lost} == {"503"}
    assert load.gaps and max(load.gaps) < LONGEST
    assert any("waits for instances of v2bbbbbb to be happy" in line for line in platform.told)


def test_an_edge_that_dies_in_the_middle_holds_nothing_up_and_has_the_routes_when_it_is_back(
    platform: Platform,
) -> None:
    name = "shop-edges"
    old, new = contract(name, "v1aaaaaa", "rolling"), contract(name, "v2bbbbbb", "rolling")
    stays, dies = platform.edges
    assert platform.deploy(old).good, platform.told
    with Load([stays.http], f"{name}.example.org", websocket=False) as load:
        ended: list[End] = []
        thread = threading.Thread(target=lambda: ended.append(platform.deploy(new)))
        thread.start()
        stays.wait("the first new instance", lambda: load.answers["GET", "v2bbbbbb"] > 0)
        dies.dies()
        thread.join(LONGEST)
    assert ended[0].good, "\n".join(platform.told)
    assert load.lost == {}, platform.told

    dies.start()
    dies.start_template()

    def serves() -> bool:
        status, said = dies.get(dies.http, "/", f"{name}.example.org")
        return status == 200 and version_of(said) == "v2bbbbbb"

    dies.wait("the route", serves)


def test_a_request_that_is_open_is_answered_before_prune_takes_its_application_away(
    platform: Platform,
) -> None:
    gone = contract("shop-gone", "v1aaaaaa", "rolling", drain_timeout=LONGEST)
    assert platform.deploy(gone).good, platform.told
    with platform.slow(gone, 3.0) as request:
        platform.prune(gone.name)

    assert request.came == 200, platform.told
    assert platform.told[-1] == "app /shop-gone/v1aaaaaa: deleted"
    assert any("1 connections of older workers on edge-1.eu to end" in line for line in platform.told)
    assert not any(gone.name in edge.says()["routes"] for edge in platform.edges)
    assert platform.edges[0].get(platform.edges[0].http, "/", "shop-gone.example.org")[0] == 503
    platform.edges[0].wait("the end of its instances", lambda: not platform.cluster.tasks())


def test_a_request_that_outlasts_the_drain_timeout_is_cut_by_prune_and_that_is_told(
    platform: Platform,
) -> None:
    gone = contract("shop-cut", "v1aaaaaa", "rolling", drain_timeout=1.0)
    assert platform.deploy(gone).good, platform.told
    with platform.slow(gone, 60.0) as request:
        platform.prune(gone.name)

    assert request.came == 502, platform.told
    assert platform.told[-1] == (
        "app /shop-cut/v1aaaaaa: deleted; 1 connections cut, they did not end in time"
    )


def test_a_request_that_is_open_is_answered_before_a_restore_stops_its_application(
    platform: Platform,
) -> None:
    job = {"name": "shop-back.restore", "command": "true", "cpus": 0.1, "mem": 64, "environmentVariables": []}
    data = replace(
        contract("shop-back", "v1aaaaaa", "rolling", drain_timeout=LONGEST),
        restores=(job,),
        stops_to_restore=True,
    )
    compiled = Compiled(cluster="shop", contracts=(data,))
    assert platform.deploy(data).good, platform.told
    with platform.hooked() as hooked, platform.slow(data, 3.0) as request:
        restore(hooked, compiled, data.name, snapshot="latest", node=None, say=platform.told.append)

    assert request.came == 200, platform.told
    assert "/shop-back/v1aaaaaa: stopped while its data is restored" in platform.told
    edge = platform.edges[0]
    edge.wait("its route", lambda: edge.get(edge.http, "/", "shop-back.example.org")[0] == 200)


def test_the_smoke_test_asks_through_nginx_what_was_deployed_and_finds_what_was_not(
    platform: Platform,
) -> None:
    there, missing = (
        replace(one, route=replace(one.route, smoke="/"))
        for one in (contract(name, "v1aaaaaa", "rolling") for name in ("shop-smoke", "shop-missing"))
        if one.route is not None
    )
    assert platform.deploy(there).good, platform.told

    with Hooked(CLUSTER, Endpoints(instances=fronts(platform.edges)), Deadline(LONGEST), {}) as hooked:
        (fine,) = smoke_test(hooked, Compiled(cluster="shop", contracts=(there,)), Deadline(LONGEST)).verdicts
        (lost,) = smoke_test(hooked, Compiled(cluster="shop", contracts=(missing,)), Deadline(1.0)).verdicts

    assert fine.good, fine.says
    assert fine.says == "http://shop-smoke.example.org/ answers 200 at 2 edges"
    assert not lost.good
    assert "at edge-1: 503 'no application is routed here yet'" in lost.says


CONTRACT = """\
name: shop-apply
owner: shop@example.org
dev: {image: "registry.example.org/shop:1.4.2", ports: {http: 8080}, health: {path: /healthz}}
ops:
  cpus: 0.1
  memory_mib: 64
  instances: 2
  pools: [general]
  deploy: {min_healthy_seconds: 1}
  route: {host: apply.example.org, path: /, smoke: /ok}
"""


def test_apply_waits_for_the_edges_deploys_routes_and_asks_through_them(
    consul_at: ConsulServer,
    edges: list[Edge],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "cluster.yaml").write_text((ROOT / "cluster.yaml").read_text())
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts/shop-apply.yaml").write_text(CONTRACT)
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", consul_at.token)
    registered: Any = {"consul": consul_at.url, "consul_token": consul_at.token}
    planned = plan(load(tmp_path / "cluster.yaml"))
    with SimulatedCluster.of_plan(planned, clock=RunningClock(), **registered) as cluster:
        cluster.profile("*", Profile(start_seconds=0.1, healthy_after=0.1, stop_seconds=0.05))
        found = endpoints(cluster, {"eu": consul_at.url})
        found["instances"] |= {name: [one.where for one in all] for name, all in fronts(edges).items()}
        (tmp_path / "sim.json").write_text(json.dumps(found))

        code = main(
            [
                *("apply", "--timeout", str(LONGEST), "--file", str(tmp_path / "cluster.yaml")),
                *("--simulator", str(tmp_path / "sim.json")),
            ]
        )

    said = capsys.readouterr().out
    assert code == 0, said
    rows = {" ".join(line.split()) for line in said.splitlines()}
    assert "ok edge/eu 2 of 2 serve" in rows
    assert "ok route shop-apply http://apply.example.org/ok answers 200 at 2 edges" in rows
