"""A site on a real libvirtd, by the real Terraform and the real plugin: made, grown, rolled, destroyed.

Minutes of the processor's time, since Terraform reads the plugin's schema, 10 MB, for each command.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from constructs_lib.access.deployed import Deployed
from constructs_lib.components.model import Role
from constructs_lib.libvirt.rolling import KINDS
from constructs_lib.plan.lock import Lock
from constructs_lib.plan.plan import plan
from constructs_lib.roll.gate import Machine
from constructs_lib.roll.nodes import NodeRoll
from constructs_lib.roll.reading import ReadPlan, judge
from constructs_lib.roll.site import Site as RollSite
from constructs_lib.secrets.ensure import ensure
from constructs_lib.secrets.store import read_store, write_store
from constructs_lib.secrets.values import new_value
from constructs_lib.spec.load import from_dict
from constructs_lib.spec.workspace import Workspace
from tests.another_version import of_another_version
from tests.libvirt.clusters import Json, cluster_stack, settings, with_site
from tests.libvirt.hypervisor import Hypervisor, running
from tests.openstack.conftest import Terraform

pytestmark = [pytest.mark.terraform, pytest.mark.root, pytest.mark.slow]


OTHERS = "installer.iso"
LARGER: dict[str, Any] = {"masters": {"count": 1, "cpus": 1, "memory_gib": 2}}


class Rolled(RollSite):
    """The site as a roll has it; nobody logs in to machines that only know their power button."""

    def refresh(self, agents: Mapping[str, str] | None = None) -> Deployed:
        """Nothing to read: no SSH file is wanted."""
        return cast(Deployed, None)


class Content:
    """A gate for such machines: all are well."""

    def look(self, machines: Sequence[Machine]) -> dict[str, str | None]:
        """Nothing is wrong with any."""
        return {one.name: None for one in machines}


@dataclasses.dataclass(frozen=True)
class Site:
    """A site that was deployed once, with one of each role."""

    terraform: Terraform
    hypervisor: Hypervisor
    given: Json

    def write(
        self, lock: Lock | None = None, become: Callable[[Json], Json] = lambda stack: stack, **site: Any
    ) -> None:
        """Make the stack of these settings, or what `become` makes of it, what the next command reads."""
        planned = plan(from_dict(with_site(self.given, **site)), lock)
        stack = become(cluster_stack(planned.site("dc1")))
        stack["provider"]["libvirt"][0]["uri"] = self.hypervisor.uri
        made = ensure(planned.secrets, (), self.terraform.folder / "secrets.json", {})
        values = {name: made[name] for name in stack["variable"]}
        (self.terraform.folder / "secrets.auto.tfvars.json").write_text(json.dumps(values))
        self.terraform.write(stack)

    def planned(self, *arguments: str, **site: Any) -> ReadPlan:
        """What a deploy of these settings would do; it is not done."""
        self.write(**site)
        self.terraform("plan", "-input=false", "-out=plan", *arguments)
        return ReadPlan.of(json.loads(self.terraform("show", "-json", "plan")))

    def changes(self, *arguments: str, **site: Any) -> dict[str, str]:
        """Address → what would happen to it."""
        return {change.address: change.verb for change in self.planned(*arguments, **site).loud()}

    def apply(self) -> None:
        """Do what was planned last."""
        self.terraform("apply", "-input=false", "plan")

    def base(self, machine: str) -> str:
        """The file that a machine's root disk is copied on write from."""
        volume = self.hypervisor.virsh("vol-dumpxml", "--pool", "small-dc1", f"{machine}-root.qcow2")
        path = ElementTree.fromstring(volume).findtext("backingStore/path")
        assert path
        return Path(path).name

    def roll(
        self,
        role: Role,
        *,
        pool: str | None = None,
        only: str | None = None,
        lock: Lock | None = None,
        **site: Any,
    ) -> tuple[tuple[str, ...], list[str]]:
        """Which nodes `clustermesos roll` replaced, and what it said."""
        self.write(lock, **site)
        cluster, said = plan(from_dict(with_site(self.given, **site)), lock), list[str]()
        rolled = Rolled(
            cluster=cluster,
            plan=cluster.site("dc1"),
            workspace=Workspace(self.terraform.folder / "cluster.yaml"),
            stacks={"dc1": self.terraform.folder},
            say=said.append,
            environ=self.terraform.environ | {"TERRAFORM_BINARY_NAME": str(self.terraform.binary)},
        )
        done = NodeRoll(
            site=rolled,
            role=role,
            pool=pool,
            only=only,
            gate=Content(),
            gate_timeout=60,
            say=said.append,
            confirm=lambda question: True,
        ).run()
        return done, said

    def uuids(self) -> dict[str, str]:
        """Machine → UUID of its domain, of those that run."""
        return {
            name: self.hypervisor.virsh("domuuid", name).strip() for name in self.hypervisor.named("list")
        }

    def starts(self) -> dict[str, str]:
        """Machine → libvirt's number of its start: another one after each."""
        return {name: self.hypervisor.virsh("domid", name).strip() for name in self.hypervisor.named("list")}


@pytest.fixture(scope="module")
def hypervisor(libvirt_terraform: Terraform) -> Iterator[Hypervisor]:
    # A socket's path has room for 107 characters.
    with tempfile.TemporaryDirectory(prefix="libvirt-") as folder, running(Path(folder)) as one:
        yield one


@pytest.fixture(scope="module")
def site(libvirt_terraform: Terraform, hypervisor: Hypervisor) -> Site:
    image, checksum = hypervisor.image()
    # Of somebody else, as is the folder.
    (hypervisor.folder / "pool").mkdir(mode=0o750)
    (hypervisor.folder / "pool" / OTHERS).write_text("kept")
    folder = libvirt_terraform.folder
    temporary = folder / "tmp"
    temporary.mkdir()
    given = with_site(
        settings("small"),
        libvirt={
            "hypervisor": "qemu",
            "image": {"path": str(image), "sha256": checksum},
            "pool_path": str(hypervisor.folder / "pool"),
        },
        masters={"count": 1, "cpus": 1, "memory_gib": 1},
        consul={"count": 1, "cpus": 1, "memory_gib": 1},
        gateway={"cpus": 1, "memory_gib": 1},
        agents={"general": {"count": 1, "cpus": 1, "memory_gib": 1}},
        protect_data=False,
    )
    environ = libvirt_terraform.environ | {"TMPDIR": str(temporary)}
    made = Site(dataclasses.replace(libvirt_terraform, environ=environ), hypervisor, given)
    made.write()
    made.terraform("init", "-input=false")
    made.terraform("apply", "-auto-approve", "-input=false")
    return made


def test_a_second_plan_is_empty(site: Site) -> None:
    assert site.changes() == {}
    assert site.uuids().keys() == {
        f"small-dc1-{node}-1" for node in ("master", "consul", "gateway", "general")
    }
    assert "small-dc1" in site.hypervisor.named("net-list")


def test_a_machine_has_its_disks_and_no_secret_is_left_beside_the_stack(site: Site) -> None:
    disks = site.hypervisor.virsh("domblklist", "small-dc1-master-1")
    lying = {file.name for file in (site.hypervisor.folder / "pool").iterdir()}

    for end in ("-root.qcow2", "-data.qcow2", "-seed.iso", "-secrets"):
        assert f"small-dc1-master-1{end}" in disks
        assert f"small-dc1-master-1{end}" in lying
    assert list((site.terraform.folder / "secrets").iterdir()) == []
    text = (site.hypervisor.folder / "pool" / "small-dc1-master-1-secrets").read_text()
    assert json.loads(text).keys() >= {"zookeeper_super_password"}


def test_one_more_agent_is_its_own_parts_and_nothing_else(site: Site) -> None:
    before = site.uuids()
    agents = {"general": {"count": 2, "cpus": 1, "memory_gib": 1}}

    changes = site.changes(agents=agents)
    site.apply()

    assert changes.keys() == {
        f'{part}["general-2"]'
        for part in (
            "terraform_data.small_agents-general_machine",
            "libvirt_cloudinit_disk.small_agents-general_drive",
            "libvirt_volume.small_agents-general_root-a",
            "libvirt_volume.small_agents-general_seed-a",
            "libvirt_volume.small_agents-general_secrets-a",
            "libvirt_domain.small_agents-general_domain-a",
        )
    }
    after = site.uuids()
    assert after.pop("small-dc1-general-2")
    assert after == before
    assert site.changes(agents=agents) == {}


def test_one_agent_less_is_its_own_parts_and_nothing_else(site: Site) -> None:
    before = site.uuids()
    site.changes()
    site.apply()
    left = site.uuids()
    assert left == {name: uuid for name, uuid in before.items() if name != "small-dc1-general-2"}


def test_a_plain_deploy_leaves_what_runs_alone(site: Site) -> None:
    """Size, texts, resolver and MTU at once."""
    other: dict[str, Any] = {
        "masters": {"count": 1, "cpus": 1, "memory_gib": 2},
        "registry": {"cache": True},
        "libvirt": {"nat": {"dns": ["203.0.113.53"]}},
        "mtu": 1400,
    }
    before = site.starts()

    assert site.changes(**other) == {}
    site.apply()

    assert site.starts() == before


def test_another_version_of_the_library_changes_no_machine_until_it_is_rolled(site: Site) -> None:
    machine = 'terraform_data.small_masters_machine["master-1"]'

    plain = site.planned(become=of_another_version)
    rolled = site.planned(f"-replace={machine}", become=of_another_version)
    found = judge(rolled, "master-1", "10.30.1.11", KINDS)

    assert plain.loud() == ()
    assert {change.address for change in rolled.loud()} == {machine, *(part.address for part in found.parts)}
    assert found.differences == ("input.user_data changed",)


@pytest.mark.parametrize(
    ("larger", "words"),
    [
        ({"masters": {"memory_gib": 1536}}, "has less memory than the 1539 GiB of its 4 machines, 1 GiB for"),
        ({"gateway": {"cpus": 192}}, "has fewer CPUs than its largest machine, which has 192"),
    ],
    ids=["memory", "cpus"],
)
def test_a_host_that_can_not_hold_the_machines_is_refused_by_the_plan(
    larger: dict[str, Any], words: str, site: Site
) -> None:
    site.write(**larger)
    before = site.starts()

    refused = site.terraform.run("apply", "-auto-approve", "-input=false", "-no-color")

    assert refused.returncode == 1
    assert words in " ".join(refused.stderr.replace("│", "").split())
    assert site.starts() == before


def test_a_host_is_full_a_gibibyte_before_its_memory_and_one_more_for_four_machines(site: Site) -> None:
    """All of it may be given away where cluster.yaml says that it is there for them."""
    (size,) = (
        line.split()[2]
        for line in site.hypervisor.virsh("nodeinfo").splitlines()
        if line.startswith("Memory size")
    )
    full = int(size) // 2**20 - 3
    by_itself: dict[str, Any] = {"masters": {"memory_gib": full - 2}}
    more: dict[str, Any] = {"masters": {"memory_gib": full - 1}}

    assert site.changes(**by_itself) == {}
    site.write(**more)
    refused = site.terraform.run("plan", "-input=false", "-no-color")
    said: dict[str, Any] = {
        "libvirt": {"capacity": {"memory_gib": full + 3}},
        "masters": {"memory_gib": full},
    }

    assert refused.returncode == 1
    assert f"({full + 4:.2f} GiB)" in " ".join(refused.stderr.replace("│", "").split())
    assert site.changes(**said) == {}


def test_an_image_with_another_checksum_than_cluster_yaml_says_is_not_uploaded(site: Site) -> None:
    path, digest = site.hypervisor.image(2)
    other = {"image": {"path": str(path), "sha256": "0" * 64}}
    site.write(plan(from_dict(site.given)).lock, libvirt=other)

    refused = site.terraform.run("apply", "-auto-approve", "-input=false", "-no-color")

    assert refused.returncode == 1
    assert f"has the sha256 {digest}" in " ".join(refused.stderr.replace("│", "").split())
    assert not [each.name for each in (site.hypervisor.folder / "pool").iterdir() if "0" * 64 in each.name]
    assert set(site.changes().values()) == {"destroyed"}, "of what was to fetch it"
    site.apply()


def test_a_new_image_is_laid_beside_the_old_one_and_is_that_of_the_machine_that_is_rolled(site: Site) -> None:
    before, lock = site.starts(), plan(from_dict(site.given)).lock
    path, digest = site.hypervisor.image(2)
    other: dict[str, Any] = {"libvirt": {"image": {"path": str(path), "sha256": digest}}}

    changes = site.changes(lock=lock, **other)
    site.apply()
    between = site.starts()
    done, _ = site.roll(Role.AGENT, pool="general", only="general-1", lock=lock, **other)

    assert changes == {
        f'{part}["{digest}"]': "created"
        for part in ("terraform_data.small_storage_image-a", "libvirt_volume.small_storage_base-a")
    }
    assert between == before
    assert done == ("general-1",)
    bases = {name: site.base(name) for name in site.starts()}
    _, old = site.hypervisor.image()
    assert bases.pop("small-dc1-general-1") == f"small-dc1-{digest}.qcow2"
    assert set(bases.values()) == {f"small-dc1-{old}.qcow2"}
    assert site.changes(lock=lock, **other) == {}


def test_an_older_lock_that_would_delete_the_image_under_a_machine_is_refused(site: Site) -> None:
    """The lock of before the new image, as from another branch or a backup."""
    _, digest = site.hypervisor.image(2)
    before = site.starts()
    site.write(plan(from_dict(site.given)).lock)

    refused = site.terraform.run("apply", "-auto-approve", "-input=false", "-no-color")

    assert refused.returncode == 1
    assert (
        f"small-dc1-general-1 stands on the image {digest}, which cluster.lock.json does not list: put its "
        "line back there, at sites.dc1.images, from version control."
    ) in " ".join(refused.stderr.replace("│", "").split())
    assert site.starts() == before
    assert (site.hypervisor.folder / "pool" / f"small-dc1-{digest}.qcow2").exists()


def test_a_roll_goes_back_to_the_former_image_and_leaves_the_new_one_unused(site: Site) -> None:
    path, digest = site.hypervisor.image(2)
    listed = plan(
        from_dict(with_site(site.given, libvirt={"image": {"path": str(path), "sha256": digest}})),
        plan(from_dict(site.given)).lock,
    ).lock

    site.roll(Role.AGENT, pool="general", only="general-1", lock=listed)
    changes = site.changes()
    site.apply()

    # The lock no longer lists it, and no disk stands on it.
    assert changes == {
        f'{part}["{digest}"]': "destroyed"
        for part in ("terraform_data.small_storage_image-a", "libvirt_volume.small_storage_base-a")
    }
    assert site.changes() == {}


def test_a_roll_replaces_one_master_whole_and_keeps_its_data(site: Site) -> None:
    before = site.uuids()
    data = site.hypervisor.folder / "pool" / "small-dc1-master-1-data.qcow2"
    kept = data.stat().st_ino

    done, said = site.roll(Role.MASTER, **LARGER)

    assert done == ("master-1",)
    assert "master-1: input.memory_gib: 1 → 2; input.user_data changed" in said
    (replacing,) = (line for line in said if "replacing" in line)
    assert set(replacing.removeprefix("master-1: replacing ").split(", with ")) == {
        f'{part}["master-1"]'
        for part in (
            "terraform_data.small_masters_machine",
            "libvirt_cloudinit_disk.small_masters_drive",
            "libvirt_volume.small_masters_root-a",
            "libvirt_volume.small_masters_seed-a",
            "libvirt_volume.small_masters_secrets-a",
            "libvirt_domain.small_masters_domain-a",
        )
    }
    after = site.uuids()
    assert {name for name in after if after[name] != before.get(name)} == {"small-dc1-master-1"}
    assert data.stat().st_ino == kept
    assert "2097152 KiB" in site.hypervisor.virsh("dominfo", "small-dc1-master-1")
    assert list((site.terraform.folder / "secrets").iterdir()) == []
    assert site.changes(**LARGER) == {}


def test_a_roll_brings_another_value_of_a_secret_which_a_plain_deploy_does_not(site: Site) -> None:
    store, new = site.terraform.folder / "secrets.json", new_value("ssh_host_key")
    write_store(store, read_store(store) | {"gateway_ssh_host_key_dc1": new})
    before = site.uuids()

    plain = site.changes(**LARGER)
    done, said = site.roll(Role.GATEWAY, **LARGER)
    again, nothing = site.roll(Role.GATEWAY, **LARGER)

    assert plain == {}
    assert done == ("gateway-1",)
    assert "gateway-1: input.secrets changed" in said
    disk = json.loads((site.hypervisor.folder / "pool" / "small-dc1-gateway-1-secrets").read_text())
    assert disk["gateway_ssh_host_key_dc1"] == new
    after = site.uuids()
    assert {name for name in after if after[name] != before.get(name)} == {"small-dc1-gateway-1"}
    assert again == () and "gateway-1: up to date" in nothing


def test_a_roll_sees_another_mtu(site: Site) -> None:
    other = {**LARGER, "mtu": 1400}
    machine = 'terraform_data.small_consul_machine["consul-1"]'

    found = judge(site.planned(f"-replace={machine}", **other), "consul-1", "10.30.1.75", KINDS)

    assert "input.network.mtu: 1500 → 1400" in found.differences
    assert site.changes(**other) == {}


def test_seeds_that_are_gone_from_tmpdir_touch_no_machine_and_stop_no_roll(site: Site) -> None:
    shutil.rmtree(site.terraform.folder / "tmp" / "terraform-provider-libvirt-cloudinit")
    before = site.uuids()

    changes = site.changes(**LARGER)
    done, said = site.roll(Role.AGENT, pool="general", only="general-1", **LARGER)

    assert set(changes.values()) == {"created"}
    assert all(address.startswith("libvirt_cloudinit_disk.") for address in changes)
    assert done == ("general-1",)
    assert any("changed outside of Terraform and left alone" in line for line in said)
    after = site.uuids()
    assert {name for name in after if after[name] != before.get(name)} == {"small-dc1-general-1"}


def test_a_destroy_leaves_nothing_behind_but_the_folder_that_was_there_and_what_others_have_in_it(
    site: Site,
) -> None:
    site.write()
    site.terraform("destroy", "-auto-approve", "-input=false")

    assert site.hypervisor.named("list", "--all") == set()
    assert "small-dc1" not in site.hypervisor.named("net-list", "--all")
    assert "small-dc1" not in site.hypervisor.named("pool-list", "--all")
    pool = site.hypervisor.folder / "pool"
    assert {file.name: file.read_text() for file in pool.iterdir()} == {OTHERS: "kept"}
    assert pool.stat().st_mode & 0o777 == 0o750
