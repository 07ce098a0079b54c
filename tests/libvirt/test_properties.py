"""What holds for every valid cluster, not only for those of the other tests."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from constructs_lib.libvirt.network import MOST
from constructs_lib.plan.addresses import planned_agents
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from tests.libvirt.clusters import Json, plan_of, resources, stack_anew
from tests.libvirt.clusters import settings as case_settings

# One example is a whole synth through the engine, some tenths of a second.
FEW = settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
NAMES = st.sampled_from(["general", "batch", "memory", "gpu-less", "web", "z9"])
SIZES = st.fixed_dictionaries(
    {"cpus": st.sampled_from([1, 2, 4, 48]), "memory_gib": st.sampled_from([2, 16])},
    optional={"disk_gib": st.integers(20, 500), "labels": st.just({"team": "x"})},
)
POOLS = st.builds(lambda size, count: {**size, "count": count}, SIZES, st.integers(0, 20))
EDGES = st.sampled_from([None, {"count": 1}, {"count": 2, "public": True, "allow": ["198.51.100.0/24"]}])


@st.composite
def clusters(draw: st.DrawFn) -> Json:
    """A valid cluster.yaml with one libvirt site: one host behind NAT, or up to three on a bridge."""
    chosen = case_settings("small")
    hosts = draw(st.integers(1, 3))
    site: dict[str, Any] = chosen["sites"]["dc1"]
    site |= {
        "network": draw(st.sampled_from(["10.30.0.0/18", "10.30.0.0/16"])),
        "zones": hosts,
        "masters": {"count": draw(st.sampled_from([1, 3, 5]))},
        "consul": {"count": draw(st.sampled_from([1, 3]))},
        "agents": draw(st.dictionaries(NAMES, POOLS, min_size=1, max_size=3)),
        "protect_data": draw(st.booleans()),
    }
    site["libvirt"]["hosts"] = [f"qemu+ssh://root@kvm{number}/system" for number in range(hosts)]
    if hosts > 1 or draw(st.booleans()):
        site["libvirt"]["bridge"] = {"name": "br0"}
        chosen["admin"]["networks"] = ["203.0.113.0/24"]
    # Behind NAT no visitor reaches an edge.
    edge = draw(EDGES if "bridge" in site["libvirt"] else st.sampled_from([None, {"count": 2}]))
    return chosen if edge is None else _with(chosen, edge=edge)


def _with(chosen: Json, **site: Any) -> Json:
    changed: Json = json.loads(json.dumps(chosen))
    changed["sites"]["dc1"] |= site
    return changed


def _resources(chosen: Json) -> dict[str, Json]:
    return resources(stack_anew(plan_of(chosen)))


def _pools(addresses: set[str]) -> set[str]:
    """The pools whose parts are at such addresses; whatever is no pool's is itself."""
    found = {re.search(r"\.small_agents-(.+?)_\w", address) or address for address in addresses}
    return {each if isinstance(each, str) else each[1] for each in found}


@pytest.mark.slow
@FEW
@given(clusters())
def test_every_valid_cluster_synthesizes_to_the_same_bytes_twice(chosen: Json) -> None:
    first, second = (json.dumps(stack_anew(plan_of(chosen)), sort_keys=True) for _ in range(2))

    assert first == second


@pytest.mark.slow
@FEW
@given(clusters(), st.integers(1, 100))
def test_more_agents_change_no_other_resource(chosen: Json, more: int) -> None:
    name = next(iter(chosen["sites"]["dc1"]["agents"]))
    grown = json.loads(json.dumps(chosen))
    grown["sites"]["dc1"]["agents"][name]["count"] += more

    before, after = _resources(chosen), _resources(grown)

    assert before.keys() == after.keys()
    assert _pools({address for address in before if before[address] != after[address]}) == {name}


@pytest.mark.slow
@FEW
@given(clusters(), POOLS)
def test_one_more_pool_changes_no_existing_resource(chosen: Json, pool: Json) -> None:
    agents = chosen["sites"]["dc1"]["agents"]
    grown = _with(chosen, agents={**agents, "added": pool})

    before, after = _resources(chosen), _resources(grown)

    assert {address: after[address] for address in before} == before
    assert _pools(after.keys() - before.keys()) == {"added"}


@pytest.mark.slow
@FEW
@given(clusters())
def test_a_pool_less_touches_no_other(chosen: Json) -> None:
    agents = {"first": {"count": 2}, **chosen["sites"]["dc1"]["agents"], "stays": {"count": 1}}
    whole = plan(from_dict(_with(chosen, agents=agents)))
    del agents["first"]
    less = plan(from_dict(_with(chosen, agents=agents)), whole.lock)

    before, after = (resources(stack_anew(each.site("dc1"))) for each in (whole, less))

    assert {address: before[address] for address in after} == after
    assert _pools(before.keys() - after.keys()) == {"first"}


@FEW
@given(clusters())
def test_every_machine_has_an_address_of_its_own_that_no_name_in_the_networks_dns_will_take(
    chosen: Json,
) -> None:
    site = plan_of(chosen)
    agents = [agent for pool in site.pools for agent in planned_agents(pool, site.zones)]

    addresses = [machine.address for machine in (*site.nodes, *agents)]

    assert len(addresses) == len(set(addresses))
    assert all(address in site.network for address in addresses)
    assert site.network[1] not in addresses
    kept = {zone.roles[role] for zone in site.zones for role in MOST}
    assert not [agent.name for agent in agents if any(agent.address in network for network in kept)]
