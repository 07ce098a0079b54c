from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.plan.model import LateValue
from constructs_lib.plan.plan import plan
from tests.plan.clusters import cluster

POOL = st.fixed_dictionaries({"count": st.integers(0, 200)})
SITES = st.fixed_dictionaries(
    {
        "zones": st.integers(1, 3),
        "masters": st.fixed_dictionaries({"count": st.sampled_from([1, 3, 5])}),
        "consul": st.fixed_dictionaries({"count": st.sampled_from([1, 3])}),
        "agents": st.dictionaries(st.from_regex("[a-z]{1,8}", fullmatch=True), POOL, max_size=6),
        "edge": st.none() | st.fixed_dictionaries({"count": st.integers(1, 4)}),
    }
)


def test_masters_are_spread_over_zones_with_fixed_addresses_and_ids() -> None:
    site = plan(cluster()).site("eu")
    assert [
        (node.name, node.number, node.zone.name, str(node.address)) for node in site.nodes_of(Role.MASTER)
    ] == [
        ("master-1", 1, "a", "10.20.16.11"),
        ("master-2", 2, "b", "10.20.80.12"),
        ("master-3", 3, "c", "10.20.144.13"),
    ]
    assert site.quorum == 2


@pytest.mark.parametrize(("count", "quorum"), [(1, 1), (3, 2), (5, 3)])
def test_quorum_is_more_than_half(count: int, quorum: int) -> None:
    assert plan(cluster(masters={"count": count})).site("eu").quorum == quorum


def test_a_pool_alone_joins_masters_that_run_already() -> None:
    site = plan(
        cluster(
            masters={"existing": ["10.20.1.5"]},
            consul={"existing": ["10.20.1.6"]},
            agents={"p": {"count": 2}},
        )
    ).site("eu")
    assert [str(address) for address in site.masters] == ["10.20.1.5"]
    assert [node.role for node in site.nodes] == [Role.GATEWAY]
    # Whoever reaches them has to be let out, at their own addresses.
    reached = {rule.source for rule in site.traffic_to(Role.MASTER)}
    assert reached == {Role.AGENT, Role.CONSUL, Role.GATEWAY, Role.MASTER}
    names = {secret.name for secret in site.secrets}
    assert {"gateway_ssh_host_key_eu", "consul_agent_token_eu"} < names
    assert not names & {"zookeeper_super_password", "consul_management_token_eu"}


def test_min_and_max_are_kept_and_count_is_both() -> None:
    site = plan(cluster(agents={"a": {"count": 3}, "b": {"min": 0, "max": 20}})).site("eu")
    assert [(pool.name, pool.min, pool.max) for pool in site.pools] == [("a", 3, 3), ("b", 0, 20)]


@pytest.mark.slow
@settings(deadline=None)
@given(shape=SITES)
def test_planning_is_deterministic_and_no_address_is_given_twice(shape: dict[str, Any]) -> None:
    spec = cluster(**shape)
    first = plan(spec)
    assert first == plan(spec) == plan(spec, first.lock)
    addresses = [node.address for node in first.site("eu").nodes]
    assert len(addresses) == len(set(addresses))
    for node in first.site("eu").nodes:
        assert node.address in node.zone.roles[node.role]


@pytest.mark.slow
@settings(deadline=None)
@given(shape=SITES, name=st.from_regex("[a-z]{9}", fullmatch=True))
def test_one_more_pool_moves_nobody(shape: dict[str, Any], name: str) -> None:
    before = plan(cluster(**shape))
    after = plan(cluster(**shape | {"agents": {name: {"count": 1}} | shape["agents"]}), before.lock)
    assert after.site("eu").nodes == before.site("eu").nodes
    slots = {pool.name: pool.slot for pool in after.site("eu").pools}
    assert {pool.name: slots[pool.name] for pool in before.site("eu").pools} == {
        pool.name: pool.slot for pool in before.site("eu").pools
    }


@pytest.mark.slow
@settings(deadline=None)
@given(shape=SITES)
def test_adding_zones_later_moves_nobody(shape: dict[str, Any]) -> None:
    before = plan(cluster(**shape))
    after = plan(cluster(**shape | {"zones": 3}), before.lock)
    assert after.site("eu").nodes == before.site("eu").nodes


OPENSTACK: dict[str, Any] = {
    "platform": "openstack",
    "aws": None,
    "openstack": {"external_network": "public", "image": "ubuntu-24.04"},
}


@pytest.mark.parametrize(
    "site",
    [{}, {"masters": {"existing": ["10.20.1.5"]}, "consul": {"existing": ["10.20.1.6"]}}],
    ids=["whole", "agents-alone"],
)
def test_containers_take_the_networks_own_mtu_where_it_has_one(site: dict[str, Any]) -> None:
    late = LateValue(kind="network_mtu", subject="eu", max_length=5)

    planned = plan(cluster(**OPENSTACK, zones=1, agents={"p": {"count": 2}}, **site)).site("eu")

    assert (planned.late_mtu, planned.container_mtu) == (late, late.marker)
    assert late in planned.late_values


@pytest.mark.parametrize(
    ("site", "mtu"), [({}, 1500), ({**OPENSTACK, "zones": 1, "mtu": 1300}, 1300)], ids=["aws", "given"]
)
def test_containers_take_the_number_that_cluster_yaml_or_the_platform_says(
    site: dict[str, Any], mtu: int
) -> None:
    planned = plan(cluster(**site)).site("eu")

    assert (planned.late_mtu, planned.container_mtu) == (None, mtu)
    assert all(late.kind != "network_mtu" for late in planned.late_values)


def test_fails_on_a_site_that_is_not_there() -> None:
    with pytest.raises(SpecError, match=r"site: got 'us', expected one of \['eu'\]"):
        plan(cluster()).site("us")
