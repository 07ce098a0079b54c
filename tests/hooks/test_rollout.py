"""The loop over a simulated Marathon, with time that a test turns, and documents in a real Consul."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from constructs_lib.contracts.compiled import (
    AppVersion,
    Compiled,
    CompiledContract,
    Deployment,
    Instances,
    Route,
    Scaling,
)
from constructs_lib.errors import HookError
from constructs_lib.hooks.applications import Applications
from constructs_lib.hooks.by_hand import pause, promote, resume
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Clock, Deadline
from constructs_lib.hooks.documents import ConflictError, Documents, Kept, RouteDocument
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.marathon import Marathon
from constructs_lib.hooks.observed import Judgement, Progress
from constructs_lib.hooks.rollout import Rollout, wanted
from constructs_lib.hooks.scaler import Scaler
from constructs_lib.simulator.cluster.agents import Agent
from constructs_lib.simulator.cluster.cluster import SimulatedCluster
from constructs_lib.simulator.cluster.profiles import Profile
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

    def rollout(self, **other: Any) -> Rollout:
        target = Target(name="marathon", bases=self.cluster.urls("marathon"))
        return Rollout(
            marathon=Marathon(Client(target, self.deadline())),
            sites={"eu": self.consul_client()},
            home="eu",
            edges=NoEdges(),
            now=self.cluster.now,
            **other,
        )

    def applications(self, *contracts: CompiledContract, **other: Any) -> Applications:
        rollout = self.rollout()
        compiled = Compiled(cluster="shop", contracts=contracts)
        return Applications(
            rollout.marathon,
            compiled,
            rollout.deploy,
            pending=rollout.pending,
            forget=rollout.forget,
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


@pytest.fixture
def platform(consul_at: ConsulServer) -> Iterator[Platform]:
    with SimulatedCluster([Agent(hostname="10.0.0.2", region="eu")]) as cluster:
        yield Platform(cluster, consul_at)


def test_a_contract_is_deployed_changed_and_then_left_alone(platform: Platform) -> None:
    first, second = platform.contract("v1"), platform.contract("v2")
    assert platform.deploy(first).good

    end = platform.deploy(second)

    assert (end.good, end.why) == (True, "version v2 runs")
    assert platform.running() == {"v2": 2}
    before = len(platform.told)
    applications = platform.applications(second)
    assert applications.changes(second) == ()
    assert applications.deploy(second, platform.deadline(), platform.told.append).good
    assert len(platform.told) == before


def test_the_number_follows_load_outlives_a_deployment_and_is_the_most_where_it_was_lost(
    platform: Platform,
) -> None:
    scaled = Instances(min=2, max=6, scaling=Scaling(signal="load", target=0.8))
    first, second = (replace(platform.contract(version), instances=scaled) for version in ("v1", "v2"))

    class Measures:
        values_now: tuple[float, ...] = (1.0, 1.0)

        def values(self, query: str, at: float) -> tuple[float, ...]:
            assert query == "load"
            return self.values_now

    measures: Any = Measures()
    rollout = platform.rollout()
    scaler = Scaler(rollout=rollout, sites={"eu": measures})
    assert scaler.decide(first).why == "version v1 does not run"
    assert platform.deploy(first).good
    assert platform.running() == {"v1": 2}

    measures.values_now = (1.0, 1.0)
    end = scaler.scale(first, platform.deadline(), platform.told.append)

    assert end is None and "near enough" not in platform.told[-1], "2 x 1.0 / 0.8 is 2.5, and rounds to 2"
    measures.values_now = (1.0, 1.0, 1.0, 1.0)
    end = scaler.scale(first, platform.deadline(), platform.told.append)
    assert end is not None and end.good and platform.running() == {"v1": 5}
    assert any("load 1.00 of 4 happy instances, target 0.8" in line for line in platform.told)
    assert platform.deploy(second).good
    assert platform.running() == {"v2": 5}

    measures.values_now = (0.1,) * 5
    assert scaler.decide(second).count == 4
    platform.consul_client().kv.delete(f"clustermesos/counts/{platform.name}")
    assert scaler.decide(second).count == 6
    measures.values_now = ()
    rollout.documents.store_count(platform.name, 5)
    assert scaler.decide(second).why == "no instance is measured: stays at 5"
    on_cpu = replace(second, instances=replace(scaled, scaling=Scaling(signal="cpu", target=0.8)))
    assert scaler.decide(on_cpu).why == "nothing measures cpu: follow a PromQL expression"


@pytest.mark.parametrize("lines", range(1, 7))
def test_a_process_that_ends_anywhere_is_followed_by_one_that_finishes(
    lines: int, platform: Platform
) -> None:
    platform.deploy(platform.contract("v1"))
    told: list[str] = []

    def say(text: str) -> None:
        told.append(text)
        if len(told) == lines:
            raise KeyboardInterrupt

    second = platform.contract("v2")
    with pytest.raises(KeyboardInterrupt):
        platform.rollout().deploy(second, platform.deadline(), say)

    assert platform.deploy(second).good
    assert platform.running() == {"v2": 2}


def test_a_version_that_crashes_is_turned_round_kept_and_tried_again_when_somebody_says_so(
    platform: Platform,
) -> None:
    platform.deploy(platform.contract("v1"))
    platform.cluster.profile("*/v2", Profile(healthy_after=None, fails_after=1.0))
    second = platform.contract("v2")

    end = platform.deploy(second)

    assert not end.good and "crash loop" in end.why
    assert platform.running() == {"v1": 2, "v2": 0}
    assert "was deployed before and turned round: crash loop" in platform.deploy(second).why

    platform.cluster.profile("*/v2", Profile())
    assert platform.deploy(second, forgive=True).good
    assert platform.running() == {"v2": 2}


def test_a_version_that_gets_no_room_is_turned_round_by_the_deadline(platform: Platform) -> None:
    platform.deploy(platform.contract("v1"))
    second = platform.contract("v2")
    big = replace(second, app=replace(second.app, body={**second.app.body, "cpus": 99}))

    end = platform.deploy(big)

    assert "no progress for 60 s: 0 of 2 instances are happy, 1 not started" in end.why
    assert platform.running() == {"v1": 2, "v2": 0}


def test_a_deployment_that_is_out_of_time_says_so_and_goes_on_later(platform: Platform) -> None:
    platform.deploy(platform.contract("v1"))
    second = platform.contract("v2")

    with pytest.raises(HookError, match=r"not done in time, stopped where it is .*apply goes on"):
        platform.deploy(second, seconds=3.0)

    [change] = platform.applications(second).changes(second)
    assert any("v1 → v2" in line or "v1 still has" in line for line in change.details)
    assert platform.deploy(second).good
    assert platform.rollout().pending(second) == ()


def test_a_manual_canary_outlives_the_command_and_is_promoted_by_its_document(platform: Platform) -> None:
    platform.deploy(platform.contract("v1"))
    canary = platform.contract("v2", "canary", promote="manual")

    class Undecided:
        def judge(self, *_: object) -> Judgement:
            return Judgement(says="undecided", why="7 of 100 requests")

    end = platform.deploy(canary, analyst=Undecided())

    waits = "waits for promotion of canary v2: 7 of 100 requests"
    assert (end.good, end.why) == (True, f"{waits}; next: clustermesos promote {platform.name}")
    assert platform.running() == {"v1": 2, "v2": 1}
    documents = platform.rollout().documents
    with pytest.raises(HookError, match=r"version v2 is not paused"):
        resume(documents, platform.name, platform.cluster.now())

    assert promote(documents, platform.name, platform.cluster.now()) == "v2"

    with pytest.raises(HookError, match=r"no canary of version v2 waits"):
        promote(documents, platform.name, platform.cluster.now())
    assert platform.deploy(canary).good
    assert platform.running() == {"v2": 2}


def test_a_paused_deployment_waits_until_somebody_resumes_it(platform: Platform) -> None:
    platform.deploy(platform.contract("v1"))
    second, documents = platform.contract("v2"), platform.rollout().documents
    with pytest.raises(HookError, match=r"nothing of it is being deployed"):
        pause(documents, platform.name)
    with pytest.raises(HookError, match=r"not done in time"):
        platform.deploy(second, seconds=3.0)

    assert pause(documents, platform.name) == "v2"

    next_one = f"clustermesos resume {platform.name}"
    assert platform.deploy(second).why == f"waits for somebody to resume it; next: {next_one}"
    assert platform.rollout().pending(second) == ("deployment of v2 is not finished",)
    resume(documents, platform.name, platform.cluster.now())
    assert platform.deploy(second).good
    with pytest.raises(HookError, match=r"nothing of it is being deployed"):
        promote(documents, platform.name, platform.cluster.now())


def test_a_change_of_marathons_leader_in_the_middle_is_waited_for(platform: Platform) -> None:
    platform.deploy(platform.contract("v1"))
    second = platform.contract("v2")
    done: list[str] = []

    def say(text: str) -> None:
        done.append(text)
        if len(done) == 2:
            platform.cluster.change_leader("marathon", 10.0)

    assert platform.rollout().deploy(second, platform.deadline(), say).good
    assert platform.running() == {"v2": 2}


def test_apps_that_no_contract_names_go_only_when_they_are_ours_and_somebody_says_so(
    platform: Platform,
) -> None:
    platform.deploy(platform.contract("v1"))
    marathon = platform.rollout().marathon
    theirs = {"cmd": "x", "labels": {"clustermesos/cluster": "another", "clustermesos/contract": "a"}}
    marathon.put("/theirs", {**theirs, "instances": 1, "constraints": [["@region", "IS", "eu"]]})
    marathon.put("/nobodys", {"cmd": "x", "instances": 1})

    [kept] = platform.applications().left_over()
    assert (kept.name, kept.action) == (f"/{platform.name}/v1", "keep") and "--prune" in kept.details[0]

    applications = platform.applications(prune=True)
    [gone] = applications.left_over()
    applications.prune(gone, platform.told.append)

    assert platform.running() == {}
    assert {app["id"] for app in platform.rollout().marathon.apps()} == {"/theirs", "/nobodys"}
    assert platform.rollout().documents.of(platform.name) == Kept()


class Site:
    """A second site's key/value store."""

    def __init__(self) -> None:
        self.kv = self
        self.kept: dict[str, str] = {}

    def get(self, key: str, *, recurse: bool = False, consistency: str = "") -> tuple[int, Any]:
        found = [
            {"Key": k, "Value": v.encode(), "ModifyIndex": 1}
            for k, v in self.kept.items()
            if k.startswith(key)
        ]
        return 1, found if recurse else next(iter(found), None)

    def put(self, key: str, value: str, cas: int | None = None) -> bool:
        self.kept[key] = value
        return True


def test_a_route_is_the_same_in_every_site_and_whoever_writes_second_looks_again(platform: Platform) -> None:
    other = Site()
    sites: Any = {"eu": platform.consul_client(), "dc1": other}
    documents = Documents(sites, "eu")
    route = RouteDocument(contract=platform.name, service="s", host="h", path="/", generation=1, drain=("a",))

    documents.store_route(route, 0)

    kept = documents.of(platform.name)
    assert (kept.route, kept.behind) == (route, ())
    assert json.loads(other.kept[f"clustermesos/routes/{platform.name}"])["generation"] == 1
    with pytest.raises(ConflictError, match=r"somebody else wrote it in between"):
        documents.store_route(replace(route, generation=2), 0)
    assert documents.of(platform.name).route == route
    other.kept.clear()
    assert documents.all()[platform.name].behind == ("dc1",)
    documents.copy_route(route, ("dc1",))
    assert documents.of(platform.name).behind == ()


def test_without_any_consul_applications_run_all_the_same_and_no_route_is_written(platform: Platform) -> None:
    rollout = platform.rollout()
    rollout = Rollout(
        marathon=rollout.marathon, sites={}, home="eu", edges=NoEdges(), now=platform.cluster.now
    )
    route = Route(host="shop.example.org", path="/", service=platform.name)
    for version in ("v1", "v2"):
        contract = replace(platform.contract(version), route=route, service=platform.name)
        assert rollout.deploy(contract, platform.deadline(), platform.told.append).good
        assert rollout.pending(contract) == ()

    assert platform.running() == {"v2": 2}
    assert not any("route" in line for line in platform.told)


def test_a_route_that_is_missing_or_moves_is_pending(platform: Platform) -> None:
    contract = replace(
        platform.contract("v1"), route=Route(host="new.example.org", path="/", service=platform.name)
    )
    assert platform.rollout().pending(contract) == ("route new.example.org/",)
    document = RouteDocument(contract=platform.name, service=platform.name, host="old.example.org", path="/")
    platform.rollout().documents.store_route(document, 0)

    assert platform.rollout().pending(contract) == ("route old.example.org/ → new.example.org/",)

    assert platform.deploy(contract).good
    kept = platform.rollout().documents.of(platform.name).route
    assert kept is not None and kept.host == "new.example.org" and kept.weights == {"v1": 100}


def test_progress_is_read_as_it_was_written_and_a_broken_document_is_nothing(platform: Platform) -> None:
    documents = platform.rollout().documents
    progress = Progress(version="v1", floor=2, began=1.5, turned="why", done=False, refused={"v0": "because"})

    documents.store_progress(platform.name, progress, 0)

    kept = documents.of(platform.name)
    assert kept.progress == progress and kept.progress_index > 0
    with pytest.raises(ConflictError):
        documents.store_progress(platform.name, progress, 0)
    consul = platform.consul_client()
    consul.kv.put(f"clustermesos/deployments/{platform.name}", "{")
    consul.kv.put(f"clustermesos/routes/{platform.name}", '{"generation": "x"}')
    broken = documents.of(platform.name)
    assert (
        (broken.progress, broken.route) == (Progress(), None) and broken.progress_index and broken.route_index
    )


@pytest.mark.parametrize(
    ("kept", "there", "count"),
    [(None, {}, 2), (None, {"v1": 1}, 6), (4, {"v1": 1}, 4), (99, {}, 6), (0, {}, 2)],
)
def test_the_number_is_the_scalers_within_bounds_and_the_most_where_it_is_lost(
    kept: int | None, there: dict[str, object], count: int, platform: Platform
) -> None:
    scaled = Instances(min=2, max=6, scaling=Scaling(signal="cpu", target=0.7))
    contract = replace(platform.contract("v1"), instances=scaled)

    assert wanted(contract, Kept(count=kept), there).count == count
    assert wanted(platform.contract("v1"), Kept(count=kept), there).count == 2
