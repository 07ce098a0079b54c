from __future__ import annotations

from tests.openstack.clusters import cluster_stack, resources, site_plan


def test_the_plan_shows_what_the_site_takes_of_the_quota() -> None:
    stack = cluster_stack(site_plan("private"))

    shown = stack["output"]["cluster"]["value"]["quota"]

    rules = sum(
        len(body["for_each"])
        for address, body in resources(stack).items()
        if address.startswith("openstack_networking_secgroup_rule_v2.")
    )
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
        "secgroup-rules": rules,
        "server-groups": 2,
    }


def test_flavors_by_name_are_counted_by_name() -> None:
    shown = cluster_stack(site_plan("whole"))["output"]["cluster"]["value"]["quota"]

    assert shown["flavors"] == {"SCS-1V-2": 1, "SCS-2V-4": 3, "SCS-4V-32": 2}
    assert shown["cores"] == 3 * 4 + 2 * 2 + 3 * 4
    assert shown["floating-ips"] == 3
