"""Agents of a plan's pools, and what Mesos' endpoints say of them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from constructs_lib.simulator.cluster import Agent, SimulatedCluster, from_plan
from constructs_lib.simulator.web import ask
from tests.contracts.clusters import hybrid
from tests.simulator.cluster.conftest import Marathon


def test_a_plan_s_pools_are_agents_of_their_sites() -> None:
    agents = from_plan(hybrid(), {"burst": 2})
    pools = [(agent.attributes["pool"], agent.region, agent.zone) for agent in agents]

    assert pools == [
        ("general", "home", "a"),
        ("general", "home", "b"),
        ("general", "home", "c"),
        ("data", "home", "a"),
        ("burst", "cloud", "a"),
        ("burst", "cloud", "b"),
    ]
    assert agents[0].attributes["tier"] == "web"
    assert len({agent.hostname for agent in agents}) == 6


def test_their_addresses_lie_where_the_real_ones_would() -> None:
    plan = hybrid()
    pools = {pool.name: pool for pool in plan.site("home").pools}
    here = [agent for agent in from_plan(plan) if agent.region == "home"]

    assert len(here) == 4
    for agent in here:
        assert ip_address(agent.hostname) in pools[str(agent.attributes["pool"])].ranges[str(agent.zone)]


def test_they_offer_less_than_their_machine_has() -> None:
    agent = from_plan(hybrid())[0]

    assert (agent.cpus, agent.mem) == (3.75, 14746)
    assert agent.disk < 100 * 1024


def test_a_cluster_of_a_plan_has_its_masters_and_region() -> None:
    with SimulatedCluster.of_plan(hybrid()) as sim:
        assert len(sim.urls("mesos")) == 3
        assert sim.world.region == "home"


def test_a_list_of_agents_serves_several_clusters() -> None:
    agents = [Agent(hostname="a", cpus=1)]
    for _ in range(2):
        with SimulatedCluster(agents) as sim:
            marathon = Marathon(sim)
            marathon.deployed("/web", cpus=1)
            assert marathon.running("/web") == 1


def test_two_agents_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="there is one of this name"):
        SimulatedCluster([Agent(hostname="a"), Agent(hostname="a")])


def test_free_ports_are_told_as_ranges() -> None:
    agent = Agent(hostname="a", ports=[(1, 5), (10, 11)], used_ports={1, 3, 11})

    assert agent.free_ranges() == [[2, 2], [4, 5], [10, 10]]
    assert list(agent.free_ports()) == [2, 4, 5, 10]


def test_mesos_tells_what_is_used_and_what_runs(marathon: Marathon) -> None:
    url = marathon.sim.mesos_url
    marathon.deployed("/shop/web", instances=2, cpus=0.5, mem=100)
    slaves = ask(f"{url}/master/slaves")[1]["slaves"]
    state = ask(f"{url}/state")[1]
    metrics = ask(f"{url}/metrics/snapshot")[1]

    assert sum(slave["used_resources"]["cpus"] for slave in slaves) == 1.0
    assert slaves[0]["domain"]["fault_domain"] == {"region": {"name": "eu"}, "zone": {"name": "a"}}
    assert (state["activated_slaves"], metrics["master/tasks_running"]) == (3, 2)
    (running, _) = ask(f"{url}/tasks")[1]["tasks"]
    assert (running["name"], running["state"]) == ("shop.web", "TASK_RUNNING")
    assert [ask(f"{url}{path}")[0] for path in ("/health", "/master/health", "/version", "/no")] == [
        200
    ] * 3 + [404]
