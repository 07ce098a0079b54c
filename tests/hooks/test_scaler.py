"""Scaling carried out: measured, decided, kept, and brought about over a simulated Marathon."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.contracts.compiled import CompiledContract, Instances, Scaling
from constructs_lib.errors import HookError
from constructs_lib.hooks.documents import Kept
from constructs_lib.hooks.observed import Progress, Version
from constructs_lib.hooks.scaler import Scaler
from constructs_lib.hooks.wanted import wanted
from constructs_lib.simulator.cluster import Agent, Fault, Use
from tests.hooks.rolling_platform import Platform


class Measures:
    """Prometheus, with the values that a test gives."""

    def __init__(self) -> None:
        self.now: tuple[float, ...] = ()

    def values(self, query: str, at: float) -> tuple[float, ...]:
        assert query == "load"
        return self.now


def following(platform: Platform, version: str, signal: str, *, most: int = 6) -> CompiledContract:
    scaled = Instances(min=2, max=most, scaling=Scaling(signal=signal, target=0.8))
    return replace(platform.contract(version), instances=scaled)


def scaler_of(platform: Platform, contract: CompiledContract, **other: Any) -> Scaler:
    return Scaler(rollout=platform.rollout(), sites={}, usage=platform.usage(contract), **other)


def scaled(scaler: Scaler, contract: CompiledContract, platform: Platform) -> tuple[int | None, bool | None]:
    """What was decided, and whether it was brought about; None where nothing was to do."""
    decision, end = scaler.scale(contract, platform.deadline(), platform.told.append)
    return decision.count, end.good if end else None


@pytest.mark.slow
def test_the_number_follows_load_outlives_a_deployment_and_is_the_most_where_it_was_lost(
    platform: Platform,
) -> None:
    first, second = following(platform, "v1", "load"), following(platform, "v2", "load")
    measures: Any = Measures()
    scaler = replace(scaler_of(platform, first), sites={"eu": measures})
    assert scaler.decide(first).why == "version v1 does not run"
    assert platform.deploy(first).good
    assert platform.running() == {"v1": 2}

    measures.now = (0.8, 0.8)

    assert scaled(scaler, first, platform) == (2, None)
    measures.now = (1.0, 1.0, 1.0, 1.0)
    assert scaled(scaler, first, platform) == (5, True)
    assert platform.running() == {"v1": 5}
    assert any("load 1.00 of 4 happy instances, target 0.8" in line for line in platform.told)
    assert platform.deploy(second).good
    assert platform.running() == {"v2": 5}

    for folder in ("counts", "deployments"):
        platform.consul_client().kv.delete(f"clustermesos/{folder}/{platform.name}")
    assert scaler.decide(second).count == 6
    measures.now = ()
    platform.rollout().documents.store_count(platform.name, 5)
    assert scaler.decide(second).why == "no instance is measured: stays at 5"


def test_nothing_is_taken_away_before_the_number_has_stood_for_five_minutes(platform: Platform) -> None:
    contract, measures = following(platform, "v1", "load"), Measures()
    prometheus: Any = measures
    scaler = replace(scaler_of(platform, contract), sites={"eu": prometheus})
    platform.deploy(contract)
    measures.now = (1.0,) * 4
    assert scaled(scaler, contract, platform) == (5, True)

    measures.now = (0.1,) * 5
    early = scaler.decide(contract)
    platform.cluster.advance(300)

    assert early.count == 5 and "nothing is taken away within 300 s" in early.why
    assert scaled(scaler, contract, platform) == (4, True)
    measures.now = (1.0,) * 4
    assert scaled(scaler, contract, platform) == (5, True), "what is missing is added at once"


def test_a_round_brings_about_what_the_one_before_decided_and_did_not_get_to(platform: Platform) -> None:
    contract, measures = following(platform, "v1", "load"), Measures()
    prometheus: Any = measures
    scaler = replace(scaler_of(platform, contract), sites={"eu": prometheus})
    platform.deploy(contract)
    measures.now = (1.0,) * 4
    refused = Fault(kind="status", status=403, program="marathon", method="PUT")

    # It ends before Consul knows of a deployment, and then in the middle of one.
    platform.rollout().documents.store_count(platform.name, 5)
    platform.cluster.inject(refused)
    with pytest.raises(HookError, match="403"):
        scaler.scale(contract, platform.deadline(), platform.told.append)
    assert not platform.rollout().documents.of(platform.name).progress.done

    assert scaled(scaler, contract, platform) == (5, True)
    assert any("goes on to 5 instances" in line for line in platform.told)
    assert platform.running() == {"v1": 5}
    assert scaled(scaler, contract, platform)[1] is None


def test_instances_follow_the_processor_time_that_their_agents_count(platform: Platform) -> None:
    contract = following(platform, "v1", "cpu")
    platform.cluster.use(f"/{platform.name}/*", Use(load=0.4))
    platform.deploy(contract)
    scaler, found = scaler_of(platform, contract), []

    for _ in range(6):
        found.append(scaled(scaler, contract, platform)[0])
        platform.cluster.advance(60)

    # 0.4 CPUs are 5 x 0.1 at 0.8. Until there are as many, each shows no more than all of its own; and each
    # is measured from the second look on at which it serves.
    assert found == [3, 3, 4, 4, 5, 5]
    assert platform.running() == {"v1": 5}
    assert any("cpu 1.00 of 3 happy instances, target 0.8" in line for line in platform.told)


def test_instances_follow_their_memory_by_one_look(platform: Platform) -> None:
    contract = following(platform, "v1", "memory")
    platform.cluster.use("*", Use(memory=1.2))
    platform.deploy(contract)
    before = platform.cluster.now()

    decision = scaler_of(platform, contract).decide(contract)

    assert decision.count == 3 and "memory 1.20 of 2 happy instances" in decision.why
    assert platform.cluster.now() == before


def test_half_of_what_there_is_to_know_never_takes_anything_away_and_may_ask_for_more(
    platform: Platform,
) -> None:
    other = platform.cluster.world.add(Agent(hostname="10.0.0.3", region="eu"))
    contract = following(platform, "v1", "cpu", most=12)
    body = {**contract.app.body, "constraints": [["@hostname", "GROUP_BY", "2"], ["@region", "IS", "eu"]]}
    contract = replace(contract, app=replace(contract.app, body=body))
    platform.deploy(contract)
    platform.rollout().documents.store_count(platform.name, 4)
    platform.deploy(contract)
    platform.cluster.use("*", Use(cpu=0.1))
    path = f"/{other.hostname}/containers"
    down = Fault(kind="status", status=503, program="agents", path=path, seconds=10_000)
    platform.cluster.inject(down)

    idle = scaler_of(platform, contract).decide(contract)
    platform.cluster.use("*", Use(cpu=2.0))
    busy = scaler_of(platform, contract).decide(contract)

    assert idle.count is None, idle.why
    assert "cpu 0.05 of 4 happy instances (2 not measured, counted as idle)" in idle.why
    assert "too little is known, stays at 4; agent 10.0.0.3: 503 Service Unavailable" in idle.why
    assert busy.count == 5, busy.why
    platform.cluster.inject(replace(down, path="*"))
    assert (
        scaler_of(platform, contract)
        .decide(contract)
        .why.startswith("no instance is measured: stays at 4; agent 10.0.0.2: 503")
    )


def test_without_a_master_that_answers_nothing_is_decided(platform: Platform) -> None:
    contract = following(platform, "v1", "cpu")
    platform.deploy(contract)
    platform.cluster.inject(Fault(kind="status", status=401, program="mesos", seconds=10_000))

    decision = scaler_of(platform, contract).decide(contract)

    assert decision.count is None
    assert decision.why.startswith("nothing can be measured: mesos: GET /master/slaves: 401")


def test_without_a_consul_the_number_is_what_marathon_has(platform: Platform) -> None:
    contract = following(platform, "v1", "memory")
    platform.cluster.use("*", Use(memory=1.2))
    rollout = replace(platform.rollout(), sites={})
    rollout.deploy(contract, platform.deadline(), platform.told.append)
    scaler = replace(scaler_of(platform, contract), rollout=rollout)

    assert scaled(scaler, contract, platform) == (3, True)
    platform.cluster.use("*", Use(memory=0.8))
    assert scaled(scaler, contract, platform) == (3, None)


DEPLOYED = Kept(progress=Progress(version="v1", settled="v1"), progress_index=7)
BEGUN = Kept(progress=Progress(version="v2", floor=5, done=False), progress_index=7)


@pytest.mark.parametrize(
    ("kept", "there", "count"),
    [
        (Kept(), {}, 2),
        (Kept(), {"v1": 1}, 6),
        (Kept(count=4), {"v1": 1}, 4),
        (Kept(count=99), {}, 6),
        (Kept(count=0), {}, 2),
        (DEPLOYED, {"v1": 3}, 3),
        (DEPLOYED, {"v1": 1}, 2),
        (DEPLOYED, {"v1": 50}, 6),
        (DEPLOYED, {"v1": 0}, 2),
        (BEGUN, {"v1": 2, "v2": 3}, 5),
    ],
)
def test_the_number_is_the_scalers_or_what_runs_within_bounds_and_the_most_where_all_is_lost(
    kept: Kept, there: dict[str, int], count: int, platform: Platform
) -> None:
    scaled = Instances(min=2, max=6, scaling=Scaling(signal="cpu", target=0.7))
    contract = replace(platform.contract("v1"), instances=scaled)
    versions = {name: Version(version=name, asked=asked) for name, asked in there.items()}

    assert wanted(contract, kept, versions).count == count
    assert wanted(platform.contract("v1"), kept, versions).count == 2


def ready_to_follow(platform: Platform) -> tuple[CompiledContract, CompiledContract]:
    """Three instances of a fixed number, and two versions whose contract lets them follow load."""
    fixed = replace(platform.contract("v1"), instances=Instances(min=3, max=3))
    assert platform.deploy(fixed).good
    return following(platform, "v1", "load", most=50), following(platform, "v2", "load", most=50)


def test_who_follows_load_from_now_on_keeps_what_runs_and_plan_says_so_until_it_is_written_down(
    platform: Platform,
) -> None:
    contract, _ = ready_to_follow(platform)
    applications = platform.applications(contract)

    [change] = applications.changes(contract)
    assert change.details == ("instances: 3, as many as run, until load decides another number",)
    assert applications.deploy(contract, platform.deadline(), platform.told.append).good

    assert platform.running() == {"v1": 3}
    assert platform.rollout().documents.of(platform.name).count == 3
    assert platform.applications(contract).changes(contract) == ()


def test_a_new_version_of_who_follows_load_from_now_on_gets_as_many_as_the_former_one(
    platform: Platform,
) -> None:
    _, second = ready_to_follow(platform)

    assert "instances" not in "".join(platform.applications(second).changes(second)[0].details)
    assert platform.deploy(second).good
    assert platform.running() == {"v2": 3}


def test_plan_says_how_many_there_will_be_where_what_was_decided_is_lost(platform: Platform) -> None:
    _, second = ready_to_follow(platform)
    platform.consul_client().kv.delete(f"clustermesos/deployments/{platform.name}")

    details = platform.applications(second).changes(second)[0].details

    assert details[:2] == (
        "version v1 → v2, rolling",
        "instances: 3 → 50, what was decided is lost, so it is as many as there may be",
    )


@pytest.mark.parametrize(("load", "count"), [((), None), ((0.8,) * 3, 3), ((1.0,) * 3, 4)])
def test_the_scaler_begins_with_what_runs_where_nothing_was_decided_yet(
    load: tuple[float, ...], count: int | None, platform: Platform
) -> None:
    contract, _ = ready_to_follow(platform)
    measures: Any = Measures()
    measures.now = load
    scaler = replace(scaler_of(platform, contract), sites={"eu": measures})

    assert scaler.scale(contract, platform.deadline(), platform.told.append)[0].count == count

    assert platform.running() == {"v1": count or 3}
    assert platform.rollout().documents.of(platform.name).count == (count or 3)


def test_what_runs_below_the_fewest_is_brought_up_by_the_first_decision(platform: Platform) -> None:
    contract, _ = ready_to_follow(platform)
    scaled_up = replace(contract, instances=replace(contract.instances, min=5))
    measures: Any = Measures()
    measures.now = (0.8,) * 3
    scaler = replace(scaler_of(platform, scaled_up), sites={"eu": measures})

    assert scaled(scaler, scaled_up, platform) == (5, True)
    assert platform.running() == {"v1": 5}


def test_without_a_consul_a_deployment_keeps_the_number_that_runs(platform: Platform) -> None:
    contract, second = ready_to_follow(platform)
    rollout = replace(platform.rollout(), sites={})

    assert rollout.number(contract, {"v1": 3}).why is None
    assert rollout.deploy(second, platform.deadline(), platform.told.append).good
    assert platform.running() == {"v2": 3}
