"""What the real plugin 0.9.7 broke, or did unasked: one test for each trap, named after it."""

from __future__ import annotations

import json
import re

import pytest

from constructs_lib.errors import LockError
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.terraform.schema import bodies
from tests.libvirt.clusters import (
    CASES,
    EVERY,
    Json,
    cluster_stack,
    of_kind,
    resources,
    settings,
    site_plan,
    stack_of,
    with_site,
)

DOMAIN, VOLUME, NETWORK = "libvirt_domain.", "libvirt_volume.", "libvirt_network."
DRIVE, MACHINE = "libvirt_cloudinit_disk.", "terraform_data."


@pytest.fixture(scope="module", params=EVERY)
def stack(request: pytest.FixtureRequest) -> Json:
    return stack_of(request.param)


def volumes(stack: Json, word: str) -> dict[str, Json]:
    return {name: body for name, body in of_kind(stack, VOLUME).items() if f"_{word}-" in name}


def test_any_domain_change_that_reboots_a_guest_unasked(stack: Json) -> None:
    for body in of_kind(stack, DOMAIN).values():
        assert body["lifecycle"]["ignore_changes"] == "all"


def test_a_wanted_change_that_fails_after_a_clean_plan(stack: Json) -> None:
    """A domain, its root disk, its drive and its secrets are only ever replaced, and together."""
    parts = {**of_kind(stack, DOMAIN), **of_kind(stack, DRIVE)}
    parts |= volumes(stack, "root") | volumes(stack, "seed") | volumes(stack, "secrets")
    for name, body in parts.items():
        (trigger,) = body["lifecycle"]["replace_triggered_by"]
        group = re.sub(r"_(domain|root|seed|secrets)-[a-z]$|_drive$", "", name)
        assert trigger == f"terraform_data.{group}_machine[each.key]"


def test_a_trigger_that_is_added_together_with_a_change(stack: Json) -> None:
    """It does not fire on its own creation: every machine has it from the first day on."""
    machines = {name for name in of_kind(stack, MACHINE) if name.endswith("_machine")}
    groups = {re.sub(r"_domain-[a-z]$", "", name) for name in of_kind(stack, DOMAIN)}
    assert machines == {f"{group}_machine" for group in groups}
    for name in machines:
        assert of_kind(stack, MACHINE)[name]["lifecycle"]["ignore_changes"] == ["input"]


def test_a_renamed_base_image_that_destroys_every_disk() -> None:
    before = plan(from_dict(settings("small")))
    image = {"path": "/srv/images/trixie.qcow2", "sha256": "1" * 64}
    changed = with_site(settings("small"), libvirt={"image": image})
    after = plan(from_dict(changed), before.lock)

    old = of_kind(cluster_stack(before.site("dc1")), VOLUME)["small_storage_base-a"]["for_each"]
    stack = cluster_stack(after.site("dc1"))
    kept = of_kind(stack, VOLUME)["small_storage_base-a"]

    assert list(kept["for_each"]) == [*old, "1" * 64]
    assert kept["name"] == "small-dc1-${each.key}.qcow2"
    assert kept["lifecycle"] == {"ignore_changes": "all"}
    for root in volumes(stack, "root").values():
        assert f'["{"1" * 64}"].path' in root["backing_store"]["path"]


def test_an_image_that_an_older_lock_does_not_list_and_a_deploy_would_delete_under_a_disk(
    stack: Json,
) -> None:
    """A machine's input is what it was made from, whatever cluster.yaml says by now."""
    listed = {key for body in volumes(stack, "base").values() for key in body["for_each"]}
    for name, body in volumes(stack, "root").items():
        (condition,) = body["lifecycle"]["precondition"]
        made_from = f"terraform_data.{re.sub('_root-[a-z]$', '', name)}_machine[each.key].input"
        found = re.fullmatch(r"\$\{contains\((\[.*\]), (.*)\.image\)\}", condition["condition"])
        assert found, condition
        assert (set(json.loads(found[1])), found[2]) == (listed, made_from)


def test_volumes_that_cannot_be_resized(stack: Json) -> None:
    for body in of_kind(stack, VOLUME).values():
        assert body["lifecycle"]["ignore_changes"] == "all"


def test_a_larger_data_volume_that_is_ignored_without_a_word() -> None:
    before = plan(from_dict(settings("private")))
    larger = from_dict(with_site(settings("private"), masters={"disk_gib": 80}))

    with pytest.raises(LockError) as refused:
        plan(larger, before.lock)

    assert str(refused.value).startswith(
        "cluster.lock.json: sites.dc1.masters.disk_gib: locked 50, cluster.yaml says 80; on libvirt no "
        "deploy makes a volume larger. Grow each one on its host, "
        "`virsh blockresize <cluster>-<site>-master-1 vdb 80GiB`, "
        "then write 80 at sites.dc1.disks.masters here; or put 50 back"
    ), refused.value


def test_a_data_volume_that_goes_with_its_domain(stack: Json) -> None:
    for name, body in volumes(stack, "data").items():
        assert "replace_triggered_by" not in body["lifecycle"]
        assert "machine" not in json.dumps({key: body[key] for key in ("name", "for_each", "pool")}), name


@pytest.mark.parametrize("role", ["masters", "consul"])
def test_a_data_volume_that_a_smaller_count_destroys(role: str) -> None:
    """Of an edited lock, too: Terraform holds what is left of a `for_each` to `prevent_destroy`."""
    before = plan(from_dict(with_site(settings("private"), **{role: {"count": 3}})))
    fewer = from_dict(with_site(settings("private"), protect_data=True, **{role: {"count": 1}}))

    with pytest.raises(LockError, match=f"sites.dc1.{role}.count: locked 3, cluster.yaml says 1"):
        plan(fewer, before.lock)
    left = volumes(cluster_stack(plan(fewer).site("dc1")), "data")
    assert [body["lifecycle"]["prevent_destroy"] for name, body in left.items() if role in name] == [True]


@pytest.mark.parametrize("case", CASES)
def test_a_data_volume_that_a_plan_may_destroy(case: str) -> None:
    site = site_plan(case)
    for body in volumes(cluster_stack(site), "data").values():
        assert bool(body["lifecycle"].get("prevent_destroy")) == site.protect_data


def test_a_seed_image_that_is_world_readable(stack: Json) -> None:
    """The plugin writes it 0644 into TMPDIR: nothing on it is secret."""
    for body in of_kind(stack, DRIVE).values():
        assert "var." not in json.dumps(body)
    assert "var." not in json.dumps(stack["locals"])


def test_two_nodes_with_equal_seeds_which_share_one_file(stack: Json) -> None:
    for name, body in of_kind(stack, DRIVE).items():
        machine = f"terraform_data.{name.removesuffix('_drive')}_machine[each.key].input.name"
        assert body["meta_data"] == f"instance-id: ${{{machine}}}\nlocal-hostname: ${{each.key}}\n"


def test_a_seed_on_a_bus_that_the_guests_kernel_cannot_see(stack: Json) -> None:
    for body in of_kind(stack, DOMAIN).values():
        disks = body["devices"]["disks"]
        assert {disk["target"]["bus"] for disk in disks} == {"virtio"}
        assert not any("device" in disk for disk in disks)


def test_a_driver_that_does_not_match_the_volumes_format(stack: Json) -> None:
    for body in of_kind(stack, DOMAIN).values():
        for disk in body["devices"]["disks"]:
            qcow2 = re.search(r"_(root|data)-[a-z]\[", disk["source"]["volume"]["volume"])
            assert disk["driver"]["type"] == ("qcow2" if qcow2 else "raw")


def test_a_capacity_that_is_not_the_uploads_own(stack: Json) -> None:
    for word in ("base", "seed", "secrets"):
        for name, body in volumes(stack, word).items():
            assert "capacity" not in body, name


def test_a_processor_that_plain_qemu_does_not_have() -> None:
    for hypervisor, mode in (("kvm", "host-model"), ("qemu", "maximum")):
        stack = cluster_stack(site_plan("small", libvirt={"hypervisor": hypervisor}))
        for body in of_kind(stack, DOMAIN).values():
            assert (body["type"], body["cpu"]) == (hypervisor, {"mode": mode})


def test_permissions_of_a_volume_which_differ_for_ever(stack: Json) -> None:
    assert "permissions" not in json.dumps(stack["resource"]["libvirt_volume"])


def test_a_terminal_whose_path_is_never_stable(stack: Json) -> None:
    for body in of_kind(stack, DOMAIN).values():
        assert body["devices"]["serials"] == [{"target": {"port": 0}}]
        assert body["devices"]["consoles"] == [{"target": {"type": "serial", "port": 0}}]


def test_power_that_is_cut_when_a_domain_is_destroyed(stack: Json) -> None:
    for body in of_kind(stack, DOMAIN).values():
        assert body["features"] == {"acpi": True}
        assert body["destroy"]["shutdown"]["timeout"] >= 90


def test_a_paused_guest_that_outlives_its_own_destruction(stack: Json) -> None:
    for body in of_kind(stack, DOMAIN).values():
        assert body["running"] is True and "create" not in body


def test_a_host_that_reboots_and_leaves_its_guests_down(stack: Json) -> None:
    for body in [*of_kind(stack, DOMAIN).values(), *of_kind(stack, NETWORK).values()]:
        assert body["autostart"] is True


def test_firmware_that_the_host_lacks(stack: Json) -> None:
    for body in of_kind(stack, DOMAIN).values():
        assert not {"firmware", "loader", "nv_ram"} & body["os"].keys()


def test_a_pool_in_a_folder_of_others_which_its_end_would_remove() -> None:
    """The folder that is made by itself is the site's alone; one that cluster.yaml names may be anybody's."""
    (pool,) = of_kind(cluster_stack(site_plan("small")), "libvirt_pool.").values()
    assert pool["target"]["path"].endswith("/small-dc1") and "destroy" not in pool
    assert "libvirt_pool" not in cluster_stack(site_plan("whole"))["resource"]
    named = cluster_stack(site_plan("small", libvirt={"pool_path": "/srv/images"}))
    (pool,) = of_kind(named, "libvirt_pool.").values()
    assert (pool["target"]["path"], pool["destroy"]) == ("/srv/images", {"delete": False})


def test_an_image_that_nobody_compared_with_its_checksum(stack: Json) -> None:
    for name, body in volumes(stack, "base").items():
        fetched = name.replace("_base-", "_image-")
        assert f"terraform_data.{fetched}[each.key].output" in body["create"]["content"]["url"]


def test_every_attribute_is_one_of_the_real_plugins(stack: Json) -> None:
    """Checked when each resource is made; here, that there is a schema for each type."""
    for kind in {address.split(".")[0] for address in resources(stack)} - {"terraform_data"}:
        assert bodies(("libvirt-0.9.7",), "resources", kind)


def test_a_host_key_that_nobody_checks_or_a_password_in_a_generated_file(stack: Json) -> None:
    for provider in stack["provider"]["libvirt"]:
        assert provider.keys() <= {"uri", "alias"}
        assert "verify" not in provider["uri"]


def test_a_channel_whose_path_changes(stack: Json) -> None:
    for body in of_kind(stack, DOMAIN).values():
        assert body["devices"].keys() == {"disks", "interfaces", "serials", "consoles"}


def test_running_which_is_never_read_back(stack: Json) -> None:
    """No plan starts a guest that somebody stopped: its host does when it boots, or `virsh start`."""
    for body in of_kind(stack, DOMAIN).values():
        assert (body["running"], body["autostart"]) == (True, True)
        assert body["lifecycle"]["ignore_changes"] == "all"


def test_seeds_in_a_tmpdir_that_is_lost(stack: Json) -> None:
    """Their drives are made again, and no volume or machine takes notice: nothing else refers to one."""
    drives = of_kind(stack, DRIVE)
    referring = {
        address: body
        for address, body in resources(stack).items()
        if "libvirt_cloudinit_disk." in json.dumps(body)
    }
    assert {address.split(".")[0] for address in referring} == {"libvirt_volume"}
    assert len(referring) >= len(drives)
    for body in referring.values():
        assert body["create"]["content"]["url"].startswith("${libvirt_cloudinit_disk.")
        # Not of the drive, which is made anew, but of the machine that it belongs to.
        (trigger,) = body["lifecycle"]["replace_triggered_by"]
        assert trigger.startswith("terraform_data.")
        assert body["lifecycle"]["ignore_changes"] == "all"
