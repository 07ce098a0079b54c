"""A site on libvirt that is joined to a home site elsewhere, by the real plugin on the tests' own libvirtd.

It calls the home site's gateway by name, so that of the home site nothing has to be deployed. Its machines
know no more than their power button.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.components.model import Role
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.ensure import renew
from constructs_lib.spec.load import from_dict
from tests.hybrid.clusters import Json
from tests.hybrid.conftest import Run
from tests.hybrid.linked import linked
from tests.libvirt.hypervisor import Hypervisor, running
from tests.libvirt.test_apply import Site

pytestmark = [pytest.mark.terraform, pytest.mark.root, pytest.mark.slow]
LITTLE = {"cpus": 1, "memory_gib": 1}


@pytest.fixture(scope="module")
def hypervisor(terraform_for: Run) -> Iterator[Hypervisor]:
    assert terraform_for("libvirt"), "else each test is skipped here"
    # A socket's path has room for 107 characters.
    with tempfile.TemporaryDirectory(prefix="libvirt-") as folder, running(Path(folder)) as one:
        yield one


def settings(hypervisor: Hypervisor) -> Json:
    """The private site first, which is the one that `Site` deploys."""
    given = linked("openstack-home-aws-libvirt")
    image, checksum = hypervisor.image()
    private = given["sites"].pop("kvm")
    private |= {
        "libvirt": {
            "hosts": ["qemu:///system"],
            "hypervisor": "qemu",
            "image": {"path": str(image), "sha256": checksum},
            "pool_path": str(hypervisor.folder / "pool"),
        },
        "consul": {"count": 1, **LITTLE},
        "gateway": LITTLE,
        "agents": {"general": {"count": 1, **LITTLE}},
        "protect_data": False,
    }
    called = {
        name: site | {"link": {"endpoint": f"{name}.example.org"}} for name, site in given["sites"].items()
    }
    return given | {"sites": {"dc1": private, "home": called["dc1"], "eu": called["eu"]}}


@pytest.fixture(scope="module")
def site(terraform_for: Run, hypervisor: Hypervisor) -> Site:
    terraform = terraform_for("libvirt")
    (terraform.folder / "tmp").mkdir()
    there = dataclasses.replace(
        terraform, environ=terraform.environ | {"TMPDIR": str(terraform.folder / "tmp")}
    )
    made = Site(there, hypervisor, settings(hypervisor))
    made.write()
    made.terraform("init", "-input=false")
    made.terraform("apply", "-auto-approve", "-input=false")
    return made


def gateways_disk(site: Site) -> dict[str, str]:
    """The secrets that the gateway was given."""
    (disk,) = (site.hypervisor.folder / "pool").glob("*-gateway-1-secrets")
    told: dict[str, str] = json.loads(disk.read_text())
    return told


def test_new_link_keys_come_to_the_gateway_by_a_roll_and_to_no_other_machine(site: Site) -> None:
    """A roll would be refused if a plain deploy had anything to do: that one touches no machine."""
    before, machines = gateways_disk(site), site.uuids()
    renew(plan(from_dict(site.given)).secrets, ["link-keys"], site.terraform.folder / "secrets.json", {})

    done, said = site.roll(Role.GATEWAY)

    assert done == ("gateway-1",)
    assert "gateway-1: input.secrets changed" in said
    given, after = (
        json.loads((site.terraform.folder / "secrets.auto.tfvars.json").read_text()),
        gateways_disk(site),
    )
    renewed = {name for name, value in after.items() if before.get(name) != value}
    assert {name for name in renewed if "wireguard" in name or "link" in name} == renewed != set()
    assert all(given[name] == after[name] for name in renewed)
    now = site.uuids()
    assert {name for name in now if now[name] != machines[name]} == {"demo-dc1-gateway-1"}
