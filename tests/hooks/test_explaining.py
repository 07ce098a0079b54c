"""Explanations of what the simulator's Marathon and Mesos say, read by the real clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.errors import UnknownNameError
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.explain import Explanation
from constructs_lib.hooks.explaining import explain_contract
from constructs_lib.hooks.platform import Platform
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import Agent, Fault, SimulatedCluster
from constructs_lib.spec.load import load
from tests.hooks.simulated import clock_of, compiled, contract, marathon_of

CLUSTER = Path(__file__).parents[2] / "cluster.yaml"


def instances_of(sim: SimulatedCluster) -> Endpoints:
    found = {}
    for program in ("mesos", "marathon"):
        addresses = sim.instances[program].addresses
        parts = [address.rpartition(":") for address in addresses]
        found[program] = tuple(
            Instance(node=f"simulator-{number}", site="eu", address=host, port=int(port))
            for number, (host, _, port) in enumerate(parts, 1)
        )
    return Endpoints(instances=found, simulator=True)


@contextmanager
def platform_of(sim: SimulatedCluster) -> Iterator[Platform]:
    planned = plan(load(CLUSTER), None)
    with Platform(planned, instances_of(sim), Deadline(600, clock_of(sim)), {}) as platform:
        yield platform


def said(sim: SimulatedCluster, *contracts: CompiledContract, name: str = "shop") -> Explanation:
    with platform_of(sim) as platform:
        return explain_contract(platform, compiled(*contracts), name)


def start(sim: SimulatedCluster, one: CompiledContract, seconds: float = 60) -> None:
    with marathon_of(sim) as marathon:
        marathon.put(one.app.id, {**one.app.body, "instances": one.instances.min})
    sim.advance(seconds)


@pytest.fixture
def sim() -> Iterator[SimulatedCluster]:
    agents = [
        Agent(hostname="10.20.48.11", cpus=4, attributes={"pool": "general"}, region="eu", zone="a"),
        Agent(hostname="10.30.48.11", cpus=4, attributes={"pool": "general"}, region="dc1", zone="a"),
    ]
    with SimulatedCluster(agents) as cluster:
        yield cluster


def test_what_serves_is_fine(sim: SimulatedCluster) -> None:
    shop = contract("shop")
    start(sim, shop)

    assert said(sim, shop).good


def test_what_is_too_large_says_by_how_much_on_each_agent(sim: SimulatedCluster) -> None:
    shop = contract("shop", body={"cpus": 6, "constraints": [["@region", "LIKE", ".*"]]})
    start(sim, shop)
    found = said(sim, shop)

    assert not found.good
    assert [one.reasons for one in found.agents] == [("cpus: 6 asked, 4 offered, 2 missing",)] * 2


def test_a_silent_refusal_is_named(sim: SimulatedCluster) -> None:
    shop = contract("shop", count=3, body={"constraints": [], "cpus": 3})
    start(sim, shop)
    found = said(sim, shop)

    refused = next(one for one in found.agents if one.hostname == "10.30.48.11")
    assert "region dc1" in refused.reasons[0]
    assert any("without a stated reason" in fact for fact in found.facts)


def test_a_crash_loop_says_how_its_tasks_ended(sim: SimulatedCluster) -> None:
    shop = contract("shop")
    start(sim, shop)
    sim.inject(Fault(kind="crash_loop", target="/shop/*"))
    sim.advance(60)
    found = said(sim, shop)

    assert "its tasks failed" in found.why
    assert any("last failure" in fact for fact in found.facts)


def test_the_first_cause_of_a_chain_is_named(sim: SimulatedCluster) -> None:
    db = contract("db", body={"cpus": 50})
    catalog, shop = contract("catalog", depends_on=("db",)), contract("shop", depends_on=("catalog",))
    start(sim, db)
    found = said(sim, db, catalog, shop)

    assert found.why.endswith("; waits for catalog → db: 0 of 2 instances serve")
    assert found.try_next == "clustermesos explain db"

    start(sim, replace(shop, app=replace(shop.app, body={**shop.app.body, "cpus": 50})))
    found = said(sim, db, catalog, shop)
    assert found.why == "waits for catalog → db: 0 of 2 instances serve"


def test_what_serves_is_fine_although_what_it_needs_is_not(sim: SimulatedCluster) -> None:
    db, shop = contract("db", body={"cpus": 50}), contract("shop", depends_on=("db",))
    for one in (db, shop):
        start(sim, one)
    found = said(sim, db, shop)

    assert (found.good, found.why) == (True, "2 of 2 instances serve, nothing is wrong")
    assert (
        found.facts[-1] == "what it needs is in trouble: db: 0 of 2 instances serve; clustermesos explain db"
    )


def test_what_somebody_scaled_away_is_not_fine(sim: SimulatedCluster) -> None:
    shop = contract("shop")
    start(sim, shop)
    with marathon_of(sim) as marathon:
        marathon.scale(shop.app.id, 0)
    sim.advance(60)
    found = said(sim, shop)

    assert not found.good
    assert found.why.startswith("0 instances are asked for, its contract wants 2"), found.why


def test_what_was_never_deployed_and_what_no_contract_names_are_told_apart(sim: SimulatedCluster) -> None:
    assert said(sim, contract("shop")).try_next == "clustermesos apply"
    with pytest.raises(UnknownNameError, match=r"got 'shopp', expected one of shop; did you mean shop\?"):
        said(sim, contract("shop"), name="shopp")
