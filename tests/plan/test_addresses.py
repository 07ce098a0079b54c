from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations

import pytest

from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.plan.addresses import (
    SMALLEST_POOL_PREFIX,
    cut,
    node_address,
    pool_range,
    require_room,
)
from tests.plan.clusters import cluster


def test_the_cut_is_the_documented_one() -> None:
    zone = cut(cluster().sites["eu"], ["a"], path="sites.eu")[0]
    assert {role: str(network) for role, network in zone.roles.items()} == {
        Role.GATEWAY: "10.20.0.0/22",
        Role.MASTER: "10.20.16.0/22",
        Role.CONSUL: "10.20.20.0/22",
        Role.EDGE: "10.20.24.0/22",
        Role.AGENT: "10.20.32.0/19",
    }
    assert (str(zone.public), str(zone.frontend)) == ("10.20.0.0/20", "10.20.4.0/22")


@pytest.mark.parametrize("network", ["10.20.0.0/16", "192.168.4.0/22", "100.64.0.0/20"])
def test_no_two_ranges_overlap_and_all_lie_in_the_site(network: str) -> None:
    site = cluster(network=network).sites["eu"]
    zones = cut(site, ["a", "b", "c"], path="sites.eu")
    ranges = [network for zone in zones for network in (*zone.roles.values(), zone.frontend)]
    assert all(network.subnet_of(site.network) for network in ranges)
    assert not any(one.overlaps(other) for one, other in combinations(ranges, 2))


def test_one_zone_and_three_zones_cut_the_first_zone_alike() -> None:
    site = cluster().sites["eu"]
    assert cut(site, ["a"], path="")[0] == cut(site, ["a", "b", "c"], path="")[0]


def test_fails_on_a_network_too_small_to_hold_a_subnet_for_every_role() -> None:
    with pytest.raises(
        SpecError, match=r"sites\.eu\.network: got '10\.0\.0\.0/23', expected a /22 or larger"
    ):
        small = IPv4Network("10.0.0.0/23")  # a file that says so is refused before anything is planned
        cut(cluster().sites["eu"].model_copy(update={"network": small}), ["a"], path="sites.eu")


def test_ranges_of_a_network_that_is_cut_already_replace_the_cut() -> None:
    own = {"public": "10.20.9.0/26", "control": "10.20.8.0/24", "agents": "10.20.10.0/23"}
    zone = cut(cluster(zones=1, ranges={"a": own}).sites["eu"], ["a"], path="")[0]
    assert str(zone.roles[Role.MASTER]) == "10.20.8.0/26"
    assert str(zone.roles[Role.AGENT]) == "10.20.10.0/23"


def test_node_addresses_keep_clear_of_what_clouds_reserve() -> None:
    zone = cut(cluster(network="10.0.0.0/22").sites["eu"], ["a"], path="")[0]
    assert str(node_address(zone, Role.MASTER, 1, path="")) == "10.0.0.75"
    assert str(node_address(zone, Role.MASTER, 5, path="")) == "10.0.0.79"


def test_fails_when_a_role_has_more_nodes_than_its_range() -> None:
    zone = cut(cluster(network="10.0.0.0/22").sites["eu"], ["a"], path="")[0]
    with pytest.raises(SpecError, match=r"at most 5 edge nodes in 10.0.0.96/28, or a larger network"):
        node_address(zone, Role.EDGE, 6, path="sites.eu.edge.count")


@pytest.mark.parametrize("network", ["10.20.0.0/16", "192.168.4.0/22"])
def test_the_parts_of_pools_share_nothing_and_none_depends_on_how_many_there_are(network: str) -> None:
    zone = cut(cluster(network=network).sites["eu"], ["a"], path="")[0]
    most = SMALLEST_POOL_PREFIX - zone.agents.prefixlen
    parts = [pool_range(zone, slot, path="p") for slot in range(most)]
    assert all(part.subnet_of(zone.agents) for part in parts)
    assert not any(one.overlaps(other) for one, other in combinations(parts, 2))
    assert [part.num_addresses for part in parts[:3]] == [
        zone.agents.num_addresses // 2,
        zone.agents.num_addresses // 4,
        zone.agents.num_addresses // 8,
    ]


def test_fails_when_a_site_has_more_pools_than_its_network_has_parts() -> None:
    zone = cut(cluster(network="192.168.4.0/22").sites["eu"], ["a"], path="")[0]
    with pytest.raises(SpecError, match=r"p: got 'pool number 4 of the site', expected at most 3 pools in"):
        pool_range(zone, 3, path="p")


def test_fails_when_a_pool_has_more_agents_than_its_parts_hold() -> None:
    ranges = {"a": IPv4Network("10.0.0.0/28"), "b": IPv4Network("10.0.1.0/28")}
    require_room(ranges, 22, path="p")
    with pytest.raises(
        SpecError, match=r"p\.count: got 23, expected at most 22, 11 in each zone's 10\.0\.0\.0/28"
    ):
        require_room(ranges, 23, path="p")
