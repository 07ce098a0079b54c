from __future__ import annotations

import dataclasses

import pytest

from constructs_lib.components.model import Role
from constructs_lib.openstack import ConsulNode, Masters, Network
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import TerraformStack
from tests.openstack.clusters import (
    CASES,
    Json,
    cluster_stack,
    only,
    plan_of,
    resources,
    settings,
    site_plan,
    synthesize,
)

MACHINE = "openstack_compute_instance_v2."
PORT = "openstack_networking_port_v2."
VOLUME = "openstack_blockstorage_volume_v3."


def of_kind(stack: Json, kind: str) -> dict[str, Json]:
    return {name.removeprefix(kind): body for name, body in resources(stack).items() if name.startswith(kind)}


def masters(site: SitePlan) -> Json:
    return synthesize(lambda stack: Masters(stack, "m", plan=site, network=Network(stack, "net", plan=site)))


@pytest.mark.parametrize("case", CASES)
def test_every_planned_node_is_a_machine_on_a_port_with_its_planned_address(case: str) -> None:
    site = site_plan(case)
    stack = cluster_stack(site)

    ports = {
        name: address
        for body in of_kind(stack, PORT).values()
        if isinstance(body["for_each"], dict)
        for name, address in body["for_each"].items()
    }
    machines = {
        name: place["address"]
        for body in of_kind(stack, MACHINE).values()
        if isinstance(body["for_each"], dict)
        for name, place in body["for_each"].items()
    }

    assert machines == ports == {node.name: str(node.address) for node in site.nodes}


@pytest.mark.parametrize("case", CASES)
def test_every_machine_is_on_the_port_of_its_own_name_in_the_group_of_its_role(case: str) -> None:
    stack = cluster_stack(site_plan(case))
    ports = of_kind(stack, PORT)

    for name, body in of_kind(stack, MACHINE).items():
        assert body["network"] == [{"port": f"${{{PORT}{name}_port[each.key].id}}"}]
        role = body["metadata"]["clustermesos:role"]
        assert f'["{role}"]' in ports[f"{name}_port"]["security_group_ids"][0]


def test_a_zone_is_called_what_nova_and_cinder_call_it() -> None:
    site = site_plan("whole")
    stack = cluster_stack(site)

    machine = of_kind(stack, MACHINE)["whole_masters"]
    volume = of_kind(stack, VOLUME)["whole_masters_data"]

    assert {name: place["zone"] for name, place in machine["for_each"].items()} == {
        "master-1": "az1",
        "master-2": "az2",
        "master-3": "az3",
    }
    assert volume["for_each"] == {"master-1": "ceph1", "master-2": "ceph2", "master-3": "ceph3"}
    assert (machine["availability_zone"], volume["availability_zone"]) == (
        "${each.value.zone}",
        "${each.value}",
    )


def test_nova_and_cinder_choose_where_no_zone_is_named() -> None:
    stack = cluster_stack(site_plan("small"))

    for body in [*of_kind(stack, MACHINE).values(), *of_kind(stack, VOLUME).values()]:
        assert "availability_zone" not in body


@pytest.mark.parametrize("case", CASES)
def test_data_outlives_the_machine_and_is_there_at_its_first_boot(case: str) -> None:
    site = site_plan(case)
    stack = cluster_stack(site)

    for name in ("masters", "consul"):
        root, data = of_kind(stack, MACHINE)[f"{site.cluster}_{name}"]["block_device"]
        assert (root["boot_index"], root["delete_on_termination"]) == (0, True)
        assert (data["boot_index"], data["delete_on_termination"]) == (-1, False)
        assert data["uuid"] == f"${{{VOLUME}{site.cluster}_{name}_data[each.key].id}}"
        protected = of_kind(stack, VOLUME)[f"{site.cluster}_{name}_data"]["lifecycle"].get("prevent_destroy")
        assert bool(protected) == site.protect_data


@pytest.mark.parametrize(("case", "policy"), [("private", "anti-affinity"), ("whole", "soft-anti-affinity")])
def test_nodes_that_vote_do_not_share_a_host(case: str, policy: str) -> None:
    site = site_plan(case)
    stack = cluster_stack(site)
    group = "openstack_compute_servergroup_v2."

    assert {name: body["policies"] for name, body in of_kind(stack, group).items()} == {
        f"{site.cluster}_{role}_hosts": [policy] for role in ("masters", "consul")
    }
    for name in ("masters", "consul"):
        hints = of_kind(stack, MACHINE)[f"{site.cluster}_{name}"]["scheduler_hints"]
        assert hints == [{"group": f"${{{group}{site.cluster}_{name}_hosts.id}}"}]


def test_a_flavor_is_found_by_its_name_or_by_exactly_its_size() -> None:
    stack = cluster_stack(site_plan("whole"))
    found = stack["data"]["openstack_compute_flavor_v2"]

    assert found["whole_masters_flavor"] == {"vcpus": 4, "ram": 16384}
    assert {name: each["name"] for name, each in found.items() if "name" in each} == {
        "whole_consul_flavor": "SCS-2V-4",
        "whole_gateway_flavor": "SCS-1V-2",
        "whole_agents-memory_flavor": "SCS-4V-32",
    }
    for name, body in of_kind(stack, MACHINE).items():
        assert body["flavor_id"] == f"${{data.openstack_compute_flavor_v2.{name}_flavor.id}}"
        assert "flavor_name" not in body


@pytest.mark.parametrize(
    ("setting", "name", "cpus", "mib"),
    [
        ("masters", "masters", 2, 8192),
        ("consul", "consul", 2, 4096),
        ("gateway", "gateway", 1, 2048),
        ("edge", "edge", 2, 4096),
        ("agents.general", "agents-general", 1, 2048),
    ],
)
def test_a_flavor_by_name_that_is_too_small_for_its_role_stops_every_plan_with_the_field_and_the_way_out(
    setting: str, name: str, cpus: int, mib: int
) -> None:
    given = settings("small")
    group, _, pool = setting.partition(".")
    named = {"flavor": "SCS-1V:1 (old)"} | ({} if group == "gateway" else {"count": 1})
    given["sites"]["dc1"][group] = {pool: named} if pool else named

    stack = cluster_stack(plan_of(given))

    found = stack["data"]["openstack_compute_flavor_v2"][f"small_{name}_flavor"]
    (condition,) = found["lifecycle"]["postcondition"]
    assert condition["condition"] == f"${{self.vcpus >= {cpus} && self.ram >= {mib}}}"
    assert condition["error_message"] == (
        f"sites.dc1.{setting}.flavor: SCS-1V:1 (old) has ${{self.vcpus}} vCPUs and ${{self.ram}} "
        f"MiB, expected at least {cpus} and {mib}: name a larger one, or say cpus and "
        "memory_gib instead of flavor."
    )


def test_masters_and_consul_alone_share_the_variables_of_their_secrets() -> None:
    site = site_plan()

    def build(stack: TerraformStack) -> None:
        network = Network(stack, "net", plan=site)
        Masters(stack, "m", plan=site, network=network)
        ConsulNode(stack, "c", plan=site, network=network)

    stack = synthesize(build)

    read = {secret.name for role in (Role.MASTER, Role.CONSUL) for secret in site.secrets_of(role)}
    assert set(stack["variable"]) == read


def test_masters_alone_bring_their_own_group_and_image() -> None:
    stack = masters(site_plan())

    assert list(only(stack, "openstack_networking_secgroup_v2")["for_each"]) == ["master"]
    assert "m_image" in stack["data"]["openstack_images_image_v2"]


def test_an_image_by_id_is_looked_up_nowhere() -> None:
    stack = cluster_stack(site_plan("whole"))

    assert "openstack_images_image_v2" not in stack["data"]
    root = of_kind(stack, MACHINE)["whole_masters"]["block_device"][0]
    assert root["uuid"] == "6b7a3c1e-7f0b-4f0e-9d8c-2f1a5b0c9d3e"


def test_the_text_of_a_node_is_its_own() -> None:
    site = site_plan()
    stack = masters(dataclasses.replace(site))

    texts = stack["locals"]["m_user_data"]
    assert sorted(texts) == ["master-1", "master-2", "master-3"]
    assert only(stack, "openstack_compute_instance_v2")["user_data"] == (
        "${base64gzip(local.m_user_data[each.key])}"
    )
