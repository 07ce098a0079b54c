"""Scaling carried out: measured, decided, kept, and brought about over a simulated Marathon."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.contracts.compiled import CompiledContract, Instances, Scaling
from constructs_lib.hooks.documents import Kept
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

    platform.consul_client().kv.delete(f"clustermesos/counts/{platform.name}")
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
