from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from constructs_lib.components.model import Role
from constructs_lib.openstack import MesosCluster, Network
from constructs_lib.sites.neutron_rules import rule_count
from tests.hybrid.clusters import cluster_plan, synthesized
from tests.openstack.clusters import CASES, Json, cluster_stack, resources, site_plan, synthesize


def rules_of(stack: Json) -> int:
    return sum(
        len(body["for_each"])
        for address, body in resources(stack).items()
        if address.startswith("openstack_networking_secgroup_rule_v2.")
    )


def test_the_plan_shows_what_the_site_takes_of_the_quota() -> None:
    stack = cluster_stack(site_plan("private"))

    shown = stack["output"]["cluster"]["value"]["quota"]

    assert shown == {
        "instances": 29,
        "cores": 3 * 2 + 2 + 1 + 2 + 3 * 4 + 20 * 8,
        "ram": (3 * 8 + 4 + 2 + 4 + 3 * 16 + 20 * 32) * 1024,
        "volumes": 29 + 4,
        "gigabytes": 6 * 20 + 23 * 100 + 4 * 50,
        "networks": 1,
        "subnets": 1,
        "routers": 1,
        "ports": 31,
        "floating-ips": 1,
        "secgroups": 5,
        "secgroup-rules": rules_of(stack),
        "server-groups": 2,
    }


def test_flavors_by_name_are_counted_by_name() -> None:
    shown = cluster_stack(site_plan("whole"))["output"]["cluster"]["value"]["quota"]

    assert shown["flavors"] == {"SCS-1V-2": 1, "SCS-2V-4": 3, "SCS-4V-32": 2}
    assert shown["cores"] == 3 * 4 + 2 * 2 + 3 * 4
    assert shown["floating-ips"] == 3


@pytest.mark.parametrize("case", CASES)
def test_rules_and_groups_are_counted_as_they_are_made(case: str) -> None:
    stack = cluster_stack(site_plan(case))

    shown = stack["output"]["cluster"]["value"]["quota"]

    made = resources(stack)
    groups = [len(b["for_each"]) for a, b in made.items() if a.startswith("openstack_networking_secgroup_v2")]
    assert (shown["secgroup-rules"], shown["secgroups"]) == (rules_of(stack), sum(groups))
    addresses = [
        len(b["for_each"]) for a, b in made.items() if a.startswith("openstack_networking_floatingip")
    ]
    assert shown["floating-ips"] == sum(addresses)


def test_rules_of_a_site_beside_others_are_counted_too() -> None:
    site = cluster_plan("hybrid").site("dc1")

    assert rule_count(site, site.roles) == rules_of(synthesized("hybrid")[1]["dc1"])
    assert rule_count(site, [Role.GATEWAY]) < rule_count(site, site.roles)


def test_a_network_that_is_there_already_takes_nothing() -> None:
    site = site_plan()

    stack = synthesize(
        lambda stack: MesosCluster(
            stack,
            "demo",
            plan=site,
            network=Network.existing(
                stack, "net", plan=site, network_id="n", subnet_id="s", range=IPv4Network("10.0.0.0/8")
            ),
        )
    )

    shown = stack["output"]["cluster"]["value"]["quota"]
    assert not {"networks", "subnets", "routers"} & shown.keys()
    assert shown["ports"] == shown["instances"]
