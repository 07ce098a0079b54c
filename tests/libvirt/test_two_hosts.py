"""A site over two real libvirtds with a bridge on each, by the real Terraform and the real plugin.

The two are on this computer, each in a network namespace of its own with a bridge of the same name, and are
reached by a socket each: what SSH to a host and a cable between two bridges add is not tried here.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from constructs_lib.libvirt.rolling import KINDS
from constructs_lib.plan.plan import plan
from constructs_lib.roll.reading import ReadPlan, judge
from constructs_lib.secrets.ensure import ensure
from constructs_lib.spec.load import from_dict
from tests.libvirt.clusters import Json, cluster_stack, settings, with_site
from tests.libvirt.hypervisor import Hypervisor, running
from tests.openstack.conftest import Terraform

pytestmark = [pytest.mark.terraform, pytest.mark.root, pytest.mark.slow]
BRIDGE = "br-lab"
LITTLE = {"cpus": 1, "memory_gib": 1}


@dataclass(frozen=True)
class Site:
    """A site on two hosts, that was deployed once."""

    terraform: Terraform
    hosts: tuple[Hypervisor, Hypervisor]
    given: Json

    def write(self, **site: Any) -> None:
        """Make the stack of these settings what the next command reads."""
        planned = plan(from_dict(with_site(self.given, **site)))
        stack = cluster_stack(planned.site("dc1"))
        for provider, host in zip(stack["provider"]["libvirt"], self.hosts, strict=True):
            provider["uri"] = host.uri
        made = ensure(planned.secrets, (), self.terraform.folder / "secrets.json", {})
        values = {name: made[name] for name in stack["variable"]}
        (self.terraform.folder / "secrets.auto.tfvars.json").write_text(json.dumps(values))
        self.terraform.write(stack)

    def planned(self, *arguments: str, **site: Any) -> ReadPlan:
        """What a deploy of these settings would do; it is not done."""
        self.write(**site)
        self.terraform("plan", "-input=false", "-out=plan", *arguments)
        return ReadPlan.of(json.loads(self.terraform("show", "-json", "plan")))

    def changes(self, **site: Any) -> dict[str, str]:
        """Address → what would happen to it."""
        return {change.address: change.verb for change in self.planned(**site).loud()}

    def machines(self) -> tuple[set[str], set[str]]:
        """Those that run on each host."""
        first, second = (host.named("list") for host in self.hosts)
        return first, second


@pytest.fixture(scope="module")
def site(libvirt_terraform: Terraform) -> Iterator[Site]:
    with ExitStack() as stack:
        # A socket's path has room for 107 characters.
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="libvirt-"))) for _ in "ab"]
        first, second = (stack.enter_context(running(folder, BRIDGE)) for folder in folders)
        yield deployed(libvirt_terraform, first, second)


def deployed(terraform: Terraform, first: Hypervisor, second: Hypervisor) -> Site:
    image, checksum = first.image()
    (terraform.folder / "tmp").mkdir()
    given = with_site(
        settings("private"),
        zones=2,
        libvirt={
            "hosts": ["qemu+ssh://root@kvm1.example.org/system", "qemu+ssh://root@kvm2.example.org/system"],
            "hypervisor": "qemu",
            "image": None,
            "bridge": {"name": BRIDGE},
            # The same path on both: each has it in a folder of its own.
            "pool_path": "/var/lib/libvirt/clustermesos",
        },
        masters={"count": 3, **LITTLE},
        consul={"count": 1, **LITTLE},
        gateway=LITTLE,
        edge=None,
        agents={"general": {"count": 2, **LITTLE}},
    )
    given["sites"]["dc1"]["libvirt"]["image"] = {"path": str(image), "sha256": checksum}
    environ = terraform.environ | {"TMPDIR": str(terraform.folder / "tmp")}
    made = Site(replace(terraform, environ=environ), (first, second), given)
    made.write()
    made.terraform("init", "-input=false")
    made.terraform("apply", "-auto-approve", "-input=false")
    return made


def test_masters_and_agents_are_spread_over_the_hosts_and_a_second_plan_is_empty(site: Site) -> None:
    first, second = site.machines()

    assert site.changes() == {}
    assert first & second == set()
    for prefix, spread in (("demo-dc1-master-", {1, 2}), ("demo-dc1-general-", {1})):
        counts = [len([name for name in names if name.startswith(prefix)]) for names in (first, second)]
        assert sum(counts) == (3 if "master" in prefix else 2)
        assert set(counts) == spread
    assert len(first | second) == 7


def test_each_host_has_the_image_and_the_disks_of_its_own_machines_alone(site: Site) -> None:
    _, checksum = site.hosts[0].image()
    for host, machines in zip(site.hosts, site.machines(), strict=True):
        volumes = {line.split()[0] for line in host.virsh("vol-list", "demo-dc1").splitlines()[2:] if line}
        assert f"demo-dc1-{checksum}.qcow2" in volumes
        roots = {name.removesuffix("-root.qcow2") for name in volumes if name.endswith("-root.qcow2")}
        assert roots == machines


def test_every_machine_hangs_on_the_bridge_that_its_host_has_and_no_network_is_made(site: Site) -> None:
    for host, machines in zip(site.hosts, site.machines(), strict=True):
        assert "demo-dc1" not in host.named("net-list", "--all")
        for machine in machines:
            domain = ElementTree.fromstring(host.virsh("dumpxml", machine))
            (card,) = domain.findall("devices/interface")
            source, target = card.find("source"), card.find("target")
            assert card.get("type") == "bridge" and source is not None and target is not None
            assert source.get("bridge") == BRIDGE
            # The tap that QEMU has open, so that it is more than a word in the definition.
            assert (target.get("dev") or "").startswith("vnet")


def test_one_more_agent_comes_to_the_next_host_and_touches_no_other(site: Site) -> None:
    before = site.machines()
    more = {"agents": {"general": {"count": 3, **LITTLE}}}

    changes = site.changes(**more)
    site.terraform("apply", "-input=false", "plan")

    assert set(changes.values()) == {"created"}
    assert all(address.endswith('["general-3"]') for address in changes)
    added = [new - old for new, old in zip(site.machines(), before, strict=True)]
    assert sorted(added, key=len) == [set(), {"demo-dc1-general-3"}]
    assert site.changes(**more) == {}


def test_another_resolver_and_router_are_what_a_roll_sees_and_a_plain_deploy_leaves_alone(site: Site) -> None:
    bridge = {"name": BRIDGE, "gateway": "10.20.0.2", "dns": ["203.0.113.53"]}
    more = {"agents": {"general": {"count": 3, **LITTLE}}, "libvirt": {"bridge": bridge}}
    replaced = '-replace=terraform_data.demo_masters_machine["master-2"]'

    found = judge(site.planned(replaced, **more), "master-2", "10.20.80.12", KINDS)

    assert set(found.differences) == {
        "input.network.gateway: 10.20.0.1 → 10.20.0.2",
        "input.network.resolvers: 10.20.0.1 → 203.0.113.53",
    }
    assert site.changes(**more) == {}


def test_a_host_that_is_away_stops_every_plan_and_touches_no_machine(site: Site) -> None:
    site.write()
    text = (site.terraform.folder / "cdk.tf.json").read_text()
    (site.terraform.folder / "cdk.tf.json").write_text(text.replace(str(site.hosts[1].folder), "/nowhere"))
    before = site.machines()

    refused = site.terraform.run("apply", "-auto-approve", "-input=false", "-no-color")

    assert refused.returncode == 1
    assert "/nowhere/libvirt-sock" in refused.stderr
    assert site.machines() == before


def test_a_destroy_leaves_nothing_on_either_host(site: Site) -> None:
    site.write()
    site.terraform("destroy", "-auto-approve", "-input=false")

    for host in site.hosts:
        assert host.named("list", "--all") == set()
        assert host.named("pool-list", "--all") == set()
