"""What contracts compile to is taken, placed and run by the simulator, by Marathon's and Chronos' rules."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from constructs_lib.contracts.capacity import room
from constructs_lib.contracts.compile import compile_contract
from constructs_lib.contracts.compiled import Compiled
from constructs_lib.contracts.placement import eligible
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.simulator.cluster import Agent, SimulatedCluster
from tests.contracts.clusters import hybrid, one_site
from tests.contracts.examples import contract
from tests.contracts.test_golden import compiled

PLAN = hybrid()


@pytest.fixture
def running() -> Iterator[SimulatedCluster]:
    """The examples' cluster with three agents in the public cloud, and the examples on it."""
    with SimulatedCluster.of_plan(PLAN, {"burst": 3}) as cluster:
        cluster.deploy(compiled())
        cluster.advance(600)
        yield cluster


def test_every_example_gets_healthy(running: SimulatedCluster) -> None:
    found = {one.name: running.healthy(one.app.id) for one in compiled().contracts}
    assert found == {one.name: one.instances.min for one in compiled().contracts}


def test_what_is_private_is_at_home_and_what_is_pinned_to_a_pool_is_there(running: SimulatedCluster) -> None:
    for name, pool in (("db", "data"), ("web", "general"), ("checkout", "general"), ("search", "general")):
        for agent in agents_of(running, name):
            assert (agent.region, agent.attributes["pool"]) == ("home", pool)


def test_instances_are_in_two_zones_at_least_and_apart_where_the_contract_says_so(
    running: SimulatedCluster,
) -> None:
    for name in ("web", "search"):
        assert len({agent.zone for agent in agents_of(running, name)}) >= 2
    assert len({agent.hostname for agent in agents_of(running, "search")}) == 2


def test_chronos_takes_every_job(running: SimulatedCluster) -> None:
    names = {str(job["name"]) for one in compiled().contracts for job in one.jobs}
    assert names == {"db.dump", "db.backup", "db.restore-test", "db.forget", "db.check"}
    running.advance(8 * 86_400)
    assert running.runs("db.dump") and running.runs("db.backup")


def without_region(plan: ClusterPlan) -> Compiled:
    """An app for every cloud, as if nobody had thought of the region."""
    one = compile_contract(contract(policy="hybrid", instances=1, sites=["cloud"]), plan)
    kept = [each for each in one.app.body["constraints"] if each[0] != "@region"]
    body = {**one.app.body, "constraints": [*kept, ["pool", "IS", "burst"]]}
    app = dataclasses.replace(one.app, body=body)
    return Compiled(cluster="demo", contracts=(dataclasses.replace(one, app=app),))


def test_without_its_constraint_on_the_region_an_app_would_wait_for_ever() -> None:
    with SimulatedCluster.of_plan(PLAN, {"burst": 3}) as cluster:
        cluster.deploy(without_region(PLAN))
        cluster.advance(3600)
        assert cluster.tasks("/shop/*") == []


@pytest.mark.parametrize(
    ("ops", "dev"),
    [
        ({"cpus": 1, "memory_mib": 1024}, {}),
        ({"cpus": 0.5, "memory_mib": 6000}, {}),
        ({"spread": {"per_host": 2}}, {}),
        ({}, {"host_ports": {"http": 31080}}),
    ],
    ids=["cpus", "memory", "per-host", "fixed-port"],
)
def test_as_many_instances_run_as_the_arithmetic_says(ops: dict[str, Any], dev: dict[str, Any]) -> None:
    plan = one_site()
    many = contract(dev=dev, instances=50, **ops)
    there = room(many, eligible(many, plan))
    with SimulatedCluster.of_plan(plan) as cluster:
        cluster.deploy(Compiled(cluster="demo", contracts=(compile_contract(many, plan),)))
        cluster.advance(900)
        assert len(agents_of(cluster, "shop")) == there


def agents_of(cluster: SimulatedCluster, name: str) -> list[Agent]:
    """The agent of each task of a contract."""
    return [task.agent for task in cluster.tasks(f"/{name}/*")]
