"""Zones are hosts: which one each is, and what it has to hold."""

from __future__ import annotations

import pytest

from constructs_lib.errors import LockError
from constructs_lib.plan.hosts import smallest_root_gib
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from tests.libvirt.clusters import Json, cluster_stack, settings, site_plan, with_site

KVM = [f"qemu+ssh://root@kvm{number}.example.org/system" for number in (1, 2, 3)]


def with_hosts(hosts: list[str]) -> Json:
    return with_site(settings("private"), zones=len(hosts), libvirt={"hosts": hosts})


def test_a_zone_stays_on_its_host() -> None:
    lock = plan(from_dict(with_hosts(KVM))).lock

    with pytest.raises(LockError, match=r"zone a is locked to kvm1\.example\.org, cluster\.yaml says kvm2"):
        plan(from_dict(with_hosts([KVM[1], KVM[0], KVM[2]])), lock)


def test_another_way_to_the_same_host_is_no_other_host() -> None:
    lock = plan(from_dict(with_hosts(KVM))).lock

    again = plan(from_dict(with_hosts(["qemu+tls://kvm1.example.org/system", *KVM[1:]])), lock)

    assert again.lock == lock


def test_a_host_that_is_added_moves_no_node() -> None:
    before = plan(from_dict(with_hosts(KVM[:2])))
    after = plan(from_dict(with_hosts(KVM)), before.lock)

    assert [(node.name, node.zone.name, node.address) for node in after.site("dc1").nodes] == [
        (node.name, node.zone.name, node.address) for node in before.site("dc1").nodes
    ]


def test_masters_stand_on_hosts_of_their_own() -> None:
    stack = cluster_stack(site_plan())

    members = stack["locals"]["demo_masters_members"]
    assert [member["zone"] for member in members.values()] == ["a", "b", "c"]
    assert [provider["uri"] for provider in stack["provider"]["libvirt"]] == KVM
    domains = {name: body for name, body in stack["resource"]["libvirt_domain"].items() if "masters" in name}
    assert [body.get("provider") for body in domains.values()] == [None, "libvirt.b", "libvirt.c"]


def test_every_plan_asks_each_host_for_all_memory_with_qemus_and_its_own_and_the_largest_ones_cpus() -> None:
    stack = cluster_stack(site_plan("small"))

    (asked,) = stack["data"]["libvirt_node_info"].values()
    conditions = [each["condition"] for each in asked["lifecycle"]["postcondition"]]
    loads = stack["output"]["cluster"]["value"]["hosts"]["a"]
    assert (loads["machines"], loads["memory_gib"]) == (4, 26)
    assert conditions == [
        f"${{self.memory_total_kb >= {(26 + 1 + 4 // 4) * 2**20}}}",
        "${self.cpu_cores_total >= 4}",
    ]


def test_a_host_is_held_to_the_machines_alone_where_cluster_yaml_says_what_it_has_for_them() -> None:
    stack = cluster_stack(site_plan("small", libvirt={"capacity": {"memory_gib": 26}}))

    (asked,) = stack["data"]["libvirt_node_info"].values()
    memory, _ = asked["lifecycle"]["postcondition"]
    assert memory["condition"] == f"${{self.memory_total_kb >= {26 * 2**20}}}"
    assert memory["error_message"] == (
        "The host of zone a has less memory than the 26 GiB of its 4 machines: take fewer or smaller ones."
    )


@pytest.mark.parametrize(
    ("pools", "gib"),
    [({"general": {"disk_gib": 8}, "large": {}}, 8), ({"large": {"disk_gib": 200}}, 20), ({}, 20)],
    ids=["a-pool", "the-others", "no-pool"],
)
def test_an_image_has_to_fit_onto_the_smallest_root_disk_of_the_site(
    pools: dict[str, dict[str, int]], gib: int
) -> None:
    given = settings("small")
    given["sites"]["dc1"]["agents"] = {name: {"count": 1, **pool} for name, pool in pools.items()}

    assert smallest_root_gib(plan(from_dict(given)).site("dc1")) == gib
