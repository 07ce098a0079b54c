from __future__ import annotations

import json
from collections import Counter
from ipaddress import IPv4Address

import pytest

from constructs_lib.errors import SpecError
from constructs_lib.plan.addresses import agents_in_zones, planned_agents
from constructs_lib.plan.hosts import host_loads
from tests.libvirt.clusters import Json, cluster_stack, plan_of, resources, settings, site_plan, with_site


def members(stack: Json, pool: str) -> str:
    text: str = stack["locals"][f"demo_agents-{pool}_members"]
    return text


def with_batch(count: int) -> Json:
    agents: Json = settings("private")["sites"]["dc1"]["agents"]
    agents["batch"]["count"] = count
    return cluster_stack(site_plan(agents=agents))


def test_more_agents_change_one_number_and_what_hosts_have_to_hold() -> None:
    before, after = with_batch(20), with_batch(3000)

    assert members(after, "batch") == members(before, "batch").replace("range(20)", "range(3000)")
    assert before["data"].keys() == after["data"].keys()
    one, other = resources(before), resources(after)
    assert one.keys() == other.keys()
    for address, body in one.items():
        read_back = {"for_each"} if "agents-batch" in address else set()
        assert {key for key in body if body[key] != other[address][key]} <= read_back


@pytest.mark.slow
def test_ten_thousand_agents_have_addresses_of_their_own_in_a_stack_that_is_no_larger() -> None:
    many = site_plan(agents={"general": {"count": 10_000}})
    few = len(json.dumps(cluster_stack(site_plan(agents={"general": {"count": 10}}))))

    agents = list(planned_agents(many.pool("general"), many.zones))

    assert len({agent.address for agent in agents}) == 10_000
    assert len(json.dumps(cluster_stack(many))) - few < 200
    assert sum(load.machines for load in host_loads(many)) == 10_000 + len(many.nodes)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 300])
def test_agents_counted_by_zone_are_those_that_are_planned(count: int) -> None:
    site = site_plan(agents={"general": {"count": count}})
    pool = site.pool("general")
    assert len(pool.ranges) > 1
    planned = Counter(agent.zone.name for agent in planned_agents(pool, site.zones))
    assert {zone: found for zone, found in agents_in_zones(pool).items() if found} == planned


def test_the_stack_and_the_plan_give_an_agent_the_same_address() -> None:
    site = site_plan()
    fifth = planned_agents(site.pool("batch"), site.zones)[4]

    ranges = [str(network) for network in site.pool("batch").ranges.values()]
    assert json.dumps(ranges) in members(cluster_stack(site), "batch")
    assert (fifth.name, fifth.zone.name) == ("batch-5", "b")
    assert fifth.address in site.pool("batch").ranges["b"]
    assert fifth.address == IPv4Address("10.20.112.5")


@pytest.mark.parametrize(
    ("setting", "has", "asked"), [("cpus", 8, 67), ("memory_gib", 100, 258), ("disk_gib", 60, 980)]
)
def test_a_host_that_cannot_hold_its_machines_is_told_before_any_plan(
    setting: str, has: int, asked: int
) -> None:
    given = with_site(settings("private"), libvirt={"capacity": {setting: has}})

    with pytest.raises(
        SpecError, match=rf"libvirt\.capacity\.{setting}: got {has}, expected at least {asked}"
    ):
        plan_of(given)
