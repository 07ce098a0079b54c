"""How sites are joined: who calls whom, what lies behind whom, what may pass."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Network
from typing import Any

import pytest

from constructs_lib.components.model import Role
from constructs_lib.plan.model import ClusterPlan, LateValue
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.plan.clusters import ADMIN

PRIVATE = {"reachable": False}


def sites(links: dict[str, dict[str, Any]], *, home: str) -> ClusterPlan:
    """A cluster of these sites by name, with their `link`; networks from 10.20.0.0/16 on."""
    return plan(
        ClusterSpec.model_validate(
            {
                "name": "demo",
                "admin": ADMIN,
                "sites": {
                    name: {
                        "platform": "openstack",
                        "openstack": {"external_network": "public", "image": "ubuntu-24.04"},
                        "network": f"10.{20 + 10 * number}.0.0/16",
                        "agents": {"general": {"count": 2}},
                        "link": link,
                        **({"masters": {"count": 3}} if name == home else {}),
                    }
                    for number, (name, link) in enumerate(links.items())
                },
            }
        )
    )


def calls(planned: ClusterPlan) -> dict[str, list[str]]:
    """Site → those that its gateway calls."""
    return {
        name: [peer.site for peer in site.link.peers if peer.address] if site.link else []
        for name, site in planned.sites.items()
    }


def test_one_site_has_no_link_and_no_key() -> None:
    planned = sites({"eu": {}}, home="eu")
    assert planned.site("eu").link is None
    assert not [secret.name for secret in planned.secrets if "wireguard" in secret.name]
    assert not [rule.name for rule in planned.site("eu").traffic if "wan" in rule.name]


def test_each_site_calls_those_before_it_and_the_home_site_calls_nobody() -> None:
    assert calls(sites({"aa": {}, "eu": {}, "us": {}}, home="eu")) == {
        "eu": [],
        "aa": ["eu"],
        "us": ["eu", "aa"],
    }


def test_sites_that_nobody_can_call_do_the_calling_even_at_home() -> None:
    planned = sites({"eu": PRIVATE, "us": {}}, home="eu")
    assert calls(planned) == {"eu": ["us"], "us": []}
    assert planned.order == ("us", "eu")


def test_the_order_of_the_file_does_not_matter() -> None:
    links = {"aa": PRIVATE, "eu": {}, "us": {}}
    orders = {sites(dict(order), home="eu").order for order in itertools.permutations(links.items())}
    assert orders == {("eu", "us", "aa")}


@pytest.mark.parametrize("new", ["aa", "zz"])
def test_a_new_site_changes_no_call_between_the_others(new: str) -> None:
    before = calls(sites({"dc1": PRIVATE, "eu": {}, "us": {}}, home="eu"))
    after = calls(sites({"dc1": PRIVATE, "eu": {}, "us": {}, new: {}}, home="eu"))
    assert {
        name: [site for site in called if site != new] for name, called in after.items() if name != new
    } == before


def test_two_sites_that_nobody_can_call_meet_through_the_first_that_can_be() -> None:
    planned = sites({"dc1": PRIVATE, "dc2": PRIVATE, "eu": {}}, home="dc1")
    first, relay = planned.site("dc1").link, planned.site("eu").link
    assert first is not None
    assert relay is not None
    assert [(peer.site, peer.networks) for peer in first.peers] == [
        ("eu", (IPv4Network("10.40.0.0/16"), IPv4Network("10.30.0.0/16")))
    ]
    assert {(p.source_site, p.to_site) for p in relay.passages} >= {("dc1", "dc2"), ("dc2", "dc1")}
    assert not [p for p in first.passages if "dc1" not in (p.source_site, p.to_site)]


def test_a_gateway_without_an_address_of_its_own_in_the_file_is_called_by_a_late_value() -> None:
    planned = sites({"eu": {}, "us": {}}, home="eu")
    other = planned.site("us").link
    assert other is not None
    late = LateValue(kind="gateway_public_address", subject="eu", max_length=15)
    assert [(peer.address, peer.port) for peer in other.peers] == [(late, 51820)]
    assert late in planned.site("us").late_values


def test_a_gateway_behind_a_router_is_called_at_the_routers_name_and_port() -> None:
    planned = sites({"eu": {"endpoint": "vpn.example.org", "port": 443}, "us": {}}, home="eu")
    other = planned.site("us")
    assert other.link is not None
    assert other.link.peers[0].endpoint == "vpn.example.org:443"
    assert [rule.port for rule in other.egress if rule.roles == (Role.GATEWAY,)] == [443]


def test_only_who_is_called_lets_strangers_knock() -> None:
    planned = sites({"eu": {}, "us": {}}, home="eu")
    open_to_all = {
        name: [rule.port for rule in site.traffic if IPv4Network("0.0.0.0/0") in rule.networks]
        for name, site in planned.sites.items()
    }
    assert open_to_all == {"eu": [51820], "us": []}


def test_agents_reach_the_home_masters_servers_each_other_and_nothing_else_passes() -> None:
    planned = sites({"eu": {}, "us": {}}, home="eu")
    link = planned.site("eu").link
    assert link is not None
    assert {(p.source_site, p.source, p.to_site, p.rule.to, p.rule.port) for p in link.passages} == {
        ("us", Role.AGENT, "eu", Role.MASTER, 2181),
        ("us", Role.AGENT, "eu", Role.MASTER, 5050),
        ("eu", Role.MASTER, "us", Role.AGENT, 5051),
        ("us", Role.CONSUL, "eu", Role.CONSUL, 8300),
        ("us", Role.CONSUL, "eu", Role.CONSUL, 8302),
        ("eu", Role.CONSUL, "us", Role.CONSUL, 8300),
        ("eu", Role.CONSUL, "us", Role.CONSUL, 8302),
        ("us", Role.CONSUL, "eu", Role.CONSUL, 5000),
    }


def test_agents_of_every_site_join_the_home_sites_masters() -> None:
    planned = sites({"eu": {}, "us": {}}, home="eu")
    assert planned.site("us").masters == planned.site("eu").masters
    assert planned.site("us").quorum == 2
    assert not planned.site("us").nodes_of(Role.MASTER)


def test_packets_in_links_and_containers_are_as_small_as_the_smallest_site_demands() -> None:
    planned = sites({"eu": {}, "us": {"mtu": 1280}}, home="eu")
    assert {site.mtu for site in planned.sites.values()} == {1400}
    assert {site.container_mtu for site in planned.sites.values()} == {1280}


def test_a_gateway_reads_its_own_key_and_its_peers_public_ones() -> None:
    planned = sites({"dc-1": PRIVATE, "dc-2": PRIVATE, "eu": {}}, home="eu")
    keys = [
        (name, secret.name)
        for name, site in planned.sites.items()
        for secret in site.secrets_of(Role.GATEWAY)
        if "wireguard" in secret.name
    ]
    assert keys == [
        ("dc-1", "wireguard_key_dc_1"),
        ("dc-1", "wireguard_public_key_eu"),
        ("dc-2", "wireguard_key_dc_2"),
        ("dc-2", "wireguard_public_key_eu"),
        ("eu", "wireguard_key_eu"),
        ("eu", "wireguard_public_key_dc_1"),
        ("eu", "wireguard_public_key_dc_2"),
    ]
