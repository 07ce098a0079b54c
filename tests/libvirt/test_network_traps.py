"""What the real plugin 0.9.7 did to networks and cards: one test for each trap, named after it."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

import pytest

from constructs_lib.components.model import Role
from constructs_lib.nodes.render import render
from tests.libvirt.clusters import CASES, EVERY, Json, cluster_stack, of_kind, site_plan, stack_of

DOMAIN, NETWORK, DRIVE = "libvirt_domain.", "libvirt_network.", "libvirt_cloudinit_disk."


@pytest.fixture(scope="module", params=EVERY)
def stack(request: pytest.FixtureRequest) -> Json:
    return stack_of(request.param)


def test_host_entries_in_the_network_that_block_adding_a_node() -> None:
    one = cluster_stack(site_plan("small"))
    more = cluster_stack(
        site_plan("small", masters={"count": 3}, edge={"count": 2}, agents={"general": {"count": 9}})
    )

    (network,) = of_kind(one, NETWORK).values()
    assert of_kind(more, NETWORK)["small_network"] == network
    assert network["lifecycle"] == {"ignore_changes": "all"}
    assert "dhcp" not in network["ips"][0]


def test_a_network_that_is_replaced_under_running_guests(stack: Json) -> None:
    for body in of_kind(stack, NETWORK).values():
        assert "replace_triggered_by" not in body["lifecycle"]


def test_every_name_that_a_planned_node_can_have_is_in_the_networks_dns() -> None:
    site = site_plan("small", masters={"count": 5}, consul={"count": 3}, edge={"count": 10})

    (network,) = of_kind(cluster_stack(site), NETWORK).values()

    entries = {entry["hostnames"][0]["hostname"]: entry["ip"] for entry in network["dns"]["host"]}
    assert entries == {node.name: str(node.address) for node in site.nodes}


def test_a_wait_for_a_lease_that_never_comes(stack: Json) -> None:
    for body in of_kind(stack, DOMAIN).values():
        (card,) = body["devices"]["interfaces"]
        assert card.keys() == {"mac", "model", "source"}


def test_addresses_that_two_cards_share(stack: Json) -> None:
    site_mac = re.compile(r"52:54:%02x:%02x:%02x:%02x.*each\.value\.address")
    for body in of_kind(stack, DOMAIN).values():
        assert site_mac.search(body["devices"]["interfaces"][0]["mac"]["address"])


def test_an_mtu_that_nodes_and_network_do_not_agree_on() -> None:
    stack = cluster_stack(site_plan("small", mtu=1400))
    assert of_kind(stack, NETWORK)["small_network"]["mtu"] == {"size": 1400}
    assert all("mtu: 1400\n" in body["network_config"] for body in of_kind(stack, DRIVE).values())


def test_a_router_of_the_network_that_a_node_has_the_address_of() -> None:
    for case in CASES:
        site = site_plan(case)
        drive = next(iter(of_kind(cluster_stack(site), DRIVE).values()))
        gateway = IPv4Address(re.findall(r"gateway: (\S+)", drive["network_config"])[0])
        assert gateway not in [node.address for node in site.nodes]


def test_routes_in_the_network_which_two_networks_can_not_have_and_no_deploy_changes(stack: Json) -> None:
    """Nodes keep the routes to other sites themselves."""
    for body in of_kind(stack, NETWORK).values():
        assert "routes" not in body


def test_a_cards_target_device_which_differs_for_ever(stack: Json) -> None:
    for body in of_kind(stack, DOMAIN).values():
        for card in body["devices"]["interfaces"]:
            assert "target" not in card


@pytest.mark.parametrize("case", CASES)
def test_an_image_with_ifupdown_that_leaves_resolv_conf_without_a_resolver(case: str) -> None:
    """cloud-init is told one in any case; where the image makes nothing of it, the first boot says so."""
    site = site_plan(case)
    for body in of_kind(cluster_stack(site), DRIVE).values():
        (told,) = re.findall(r"dns_nameservers: \[([\d., ]+)\]", body["network_config"])
        assert all(IPv4Address(address) for address in told.split(", "))
    master = site.nodes_of(Role.MASTER)[0]
    preflight = render(site, master).file("/usr/local/sbin/clustermesos-preflight").content
    assert re.search(r"check dns 'the name \S+ is not found' getent ahosts", preflight)
