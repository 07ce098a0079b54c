"""What applied cleanly or failed with the real plugin 3.4.0: one test for each trap, named after it."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Address, IPv4Network

import pytest

from constructs_lib.errors import LockError, RenderError
from constructs_lib.openstack import user_data
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.terraform.schema import bodies
from tests.hybrid.clusters import synthesized
from tests.openstack.clusters import (
    EVERY,
    Json,
    cluster_stack,
    only,
    resources,
    settings,
    site_plan,
    stack_anew,
    stack_of,
)
from tests.openstack.double import OpenstackDouble
from tests.openstack.test_machines import MACHINE, PORT, VOLUME, of_kind

NETWORK = "openstack_networking_network_v2"
GONE = (
    "openstack_compute_floatingip_v2",
    "openstack_compute_floatingip_associate_v2",
    "openstack_compute_secgroup_v2",
    "openstack_blockstorage_volume_v2",
    "openstack_networking_router_routes_v2",
    "openstack_networking_floatingip_associate_v2",
)


@pytest.fixture(scope="module", params=EVERY)
def stack(request: pytest.FixtureRequest) -> Json:
    return stack_of(request.param)


def test_user_data_over_49149_bytes_which_nova_prints_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert user_data.LIMIT == 65_535 // 4 * 3 == 49_149
    monkeypatch.setattr(user_data, "LIMIT", 9_000)

    with pytest.raises(
        RenderError, match=r"user data of small/dc1/\S+: \d+,\d+ bytes compressed, .* at most 9,000"
    ):
        stack_anew(site_plan("small"))


def test_a_secret_in_user_data_which_novas_refusal_would_print(stack: Json) -> None:
    secrets = [name for name, variable in stack["variable"].items() if variable.get("sensitive")]
    read = re.findall(r"var\.(\w+)", json.dumps(stack["locals"]))
    assert secrets and not set(read) & set(secrets)
    # And what else is read is not in a text: how many agents an elastic pool has.
    assert all(name.startswith("agents_") for name in read)


def test_text_that_is_by_chance_base64_is_passed_on_raw(stack: Json) -> None:
    for body in of_kind(stack, MACHINE).values():
        assert body["user_data"].startswith("${base64gzip(")


def test_create_before_destroy_with_a_port(stack: Json) -> None:
    for address, body in resources(stack).items():
        assert "create_before_destroy" not in body.get("lifecycle", {}), address


def test_groups_on_a_machine_that_has_a_port_which_differ_for_ever(stack: Json) -> None:
    for body in of_kind(stack, MACHINE).values():
        assert "security_groups" not in body
        assert [network.keys() for network in body["network"]] == [{"port"}]


def test_a_rebuild_or_resize_of_all_masters_at_once(stack: Json) -> None:
    forbidden = {"flavor_id", "flavor_name", "block_device", "image_id", "image_name", "personality"}
    for body in of_kind(stack, MACHINE).values():
        assert forbidden <= set(body["lifecycle"]["ignore_changes"])
        # A rebuild happens by these two alone: a root volume is copied from the image once.
        assert not {"image_id", "image_name"} & body.keys()
        assert body["block_device"][0]["destination_type"] == "volume"


def test_a_change_that_replaces_all_masters_at_once(stack: Json) -> None:
    replaces = {"user_data", "key_pair", "scheduler_hints", "availability_zone"}
    for body in of_kind(stack, MACHINE).values():
        assert replaces <= set(body["lifecycle"]["ignore_changes"])


def test_image_names_that_become_ambiguous() -> None:
    stack = cluster_stack(site_plan("private"))

    (image,) = stack["data"]["openstack_images_image_v2"].values()
    assert image == {"name": "ubuntu-24.04", "most_recent": True}


def test_key_pair_names_that_collide(stack: Json) -> None:
    """They belong to a user and not to a project, where one name may be that of two clusters."""
    for address, pair in of_kind(stack, "openstack_compute_keypair_v2.").items():
        mark = f"terraform_data.{address}-mark"
        assert pair["name"].endswith(f"-${{substr({mark}.id, 0, 8)}}")
        assert resources(stack)[mark] == {"triggers_replace": pair["public_key"]}


def test_a_private_key_that_nova_makes_and_the_state_keeps(stack: Json) -> None:
    """It makes one where no public key is given."""
    for pair in of_kind(stack, "openstack_compute_keypair_v2.").values():
        assert pair["public_key"].startswith("ssh-")


def test_a_device_name_which_nova_does_not_keep(stack: Json) -> None:
    assert "openstack_compute_volume_attach_v2" not in stack["resource"]
    assert '"device"' not in json.dumps(stack["resource"])


def test_a_data_volume_that_comes_after_the_first_boot(stack: Json) -> None:
    for name in of_kind(stack, VOLUME):
        disks = of_kind(stack, MACHINE)[name.removesuffix("_data")]["block_device"]
        assert f"{VOLUME}{name}[each.key].id" in disks[1]["uuid"]


def test_a_data_volume_in_use_which_the_plugin_does_not_let_grow_by_itself(stack: Json) -> None:
    for volume in of_kind(stack, VOLUME).values():
        assert volume["enable_online_resize"] is True


def test_a_data_volume_that_goes_with_a_smaller_count(stack: Json) -> None:
    """An agent has its root disk alone; fewer masters or Consul nodes are refused by the lock."""
    for name, body in of_kind(stack, MACHINE).items():
        if body["metadata"]["clustermesos:role"] == "agent":
            (root,) = body["block_device"]
            assert root["delete_on_termination"] is True
            assert f"{VOLUME}{name}_data" not in resources(stack)


def test_a_data_volume_that_another_zone_or_type_would_make_anew(stack: Json) -> None:
    for body in of_kind(stack, VOLUME).values():
        assert body["lifecycle"]["ignore_changes"] == ["availability_zone", "volume_type"]


def test_power_that_is_cut_while_a_data_volume_is_mounted(stack: Json) -> None:
    for body in of_kind(stack, MACHINE).values():
        assert body["stop_before_destroy"] is True


def test_a_floating_address_before_the_routers_interface(stack: Json) -> None:
    for body in of_kind(stack, "openstack_networking_floatingip_v2.").values():
        assert [each.split(".")[0] for each in body["depends_on"]] == [
            "openstack_networking_router_interface_v2"
        ]


def test_fixed_addresses_that_dhcp_gives_away(stack: Json) -> None:
    (subnet,) = of_kind(stack, "openstack_networking_subnet_v2.").values()
    for pool in subnet["allocation_pool"]:
        first, last = IPv4Address(pool["start"]), IPv4Address(pool["end"])
        for body in of_kind(stack, PORT).values():
            if isinstance(body["for_each"], dict):
                assert not any(first <= IPv4Address(one) <= last for one in body["for_each"].values())


def test_versions_of_novas_api_that_take_no_file_for_the_config_drive(stack: Json) -> None:
    """From 2.57 on; the plugin asks for a newer one where it sees any of these."""
    for body in of_kind(stack, MACHINE).values():
        assert body["config_drive"] is True and body["personality"]
        assert "hypervisor_hostname" not in body
        for disk in body["block_device"]:
            assert not {"volume_type", "multiattach"} & disk.keys()


def test_metadata_that_nova_refuses_to_take(stack: Json) -> None:
    for body in of_kind(stack, MACHINE).values():
        assert all(len(key) <= 255 and len(value) <= 255 for key, value in body["metadata"].items())


@pytest.mark.parametrize("kind", GONE)
def test_resource_types_that_are_gone_or_bite_each_other(kind: str, stack: Json) -> None:
    assert kind not in stack["resource"]


def test_every_attribute_is_one_of_the_real_plugins(stack: Json) -> None:
    """Checked when each resource is made; here, that there is a schema for each type."""
    for kind in stack["resource"]:
        assert bodies(("openstack-3.4.0", "builtin"), "resources", kind)


def test_a_password_in_a_generated_file(stack: Json) -> None:
    (provider,) = stack["provider"]["openstack"]
    assert provider.keys() <= {"cloud", "region"}


def test_a_data_volume_that_cinder_can_not_shrink() -> None:
    """Planned in place, refused in the middle of the apply; so the lock refuses it before."""
    before = plan(from_dict(settings("private")))
    smaller = settings("private")
    smaller["sites"]["dc1"]["masters"]["disk_gib"] = 30

    with pytest.raises(LockError, match=r"sites\.dc1\.masters\.disk_gib: locked 50, cluster\.yaml says 30"):
        plan(from_dict(smaller), before.lock)


def test_a_route_before_the_routers_interface() -> None:
    _, stacks = synthesized("hybrid")

    routes = of_kind(stacks["dc1"], "openstack_networking_router_route_v2.")

    for body in routes.values():
        assert [each.split(".")[0] for each in body["depends_on"]] == [
            "openstack_networking_router_interface_v2"
        ]
    assert routes


def test_a_networks_range_in_other_words_than_neutrons_among_the_gateways_pairs() -> None:
    _, stacks = synthesized("hybrid")

    (gateway,) = (b for b in of_kind(stacks["dc1"], PORT).values() if "allowed_address_pairs" in b)

    for pair in gateway["allowed_address_pairs"]:
        assert str(IPv4Network(pair["ip_address"])) == pair["ip_address"]


@pytest.mark.parametrize(("largest", "code"), [(1450, 201), (1400, 400)])
def test_a_requested_mtu_that_is_too_big_for_the_path(largest: int, code: int) -> None:
    """Asked for only where cluster.yaml says one, and then it is what neutron refuses or takes."""
    assert "mtu" not in only(cluster_stack(site_plan("private")), NETWORK)
    asked = only(cluster_stack(site_plan("whole")), NETWORK)
    double = OpenstackDouble()
    double.neutron.mtu = largest

    given = {key: asked[key] for key in ("name", "admin_state_up", "mtu")}
    found, answer = double.neutron.made("networks", "network", given)

    assert found == code
    assert code == 201 or "Requested MTU is too big, maximum is 1400" in str(answer)


def test_a_gateway_ip_that_changes_while_a_router_is_attached() -> None:
    """Neutron refuses it in the middle of a deploy; it hangs on the site's network alone, which is locked."""
    before = plan(from_dict(settings("private")))
    moved = settings("private")
    moved["sites"]["dc1"]["network"] = "10.99.0.0/16"
    with pytest.raises(LockError, match=r"sites\.dc1\.network: locked 10\.20\.0\.0/16"):
        plan(from_dict(moved), before.lock)

    other = settings("private")
    other["sites"]["dc1"] |= {"edge": {"count": 2}, "mtu": 1342, "agents": {"new": {"count": 9}}}
    other["sites"]["dc1"]["openstack"] |= {"dns": ["10.9.0.2"], "external_network": "wan"}
    after = plan(from_dict(other), before.lock)

    addresses = [
        only(cluster_stack(each.site("dc1")), "openstack_networking_subnet_v2")["gateway_ip"]
        for each in (before, after)
    ]
    assert addresses == ["10.20.0.1", "10.20.0.1"]


def test_anti_affinity_without_a_host_left(stack: Json) -> None:
    """Only nodes that vote ask for hosts of their own; a new try loses neither port nor volume."""
    for name, body in of_kind(stack, MACHINE).items():
        voting = body["metadata"]["clustermesos:role"] in ("master", "consul")
        assert ("scheduler_hints" in body) is voting
        if voting:
            (hint,) = body["scheduler_hints"]
            assert hint["group"] == f"${{openstack_compute_servergroup_v2.{name}_hosts.id}}"
            assert len(body["for_each"]) <= 5
        # What is made again in the place of a machine in state ERROR stands on the same port.
        assert body["network"] == [{"port": f"${{{PORT}{name}_port[each.key].id}}"}]
