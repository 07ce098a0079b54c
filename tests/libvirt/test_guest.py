"""Guests with an operating system: Debian boots from the disks that our constructs make, on plain QEMU.

By the real Terraform and plugin, a gateway and a Consul node, which has a data volume. They have no way out:
what they install is in their image, and the time is that of a server in the hypervisor's network. Without KVM
a first boot takes minutes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.access.host_keys import public_host_key
from constructs_lib.access.ssh_config import Folder, Host, write
from constructs_lib.components.model import Role
from constructs_lib.lab.overrides import read_overrides
from constructs_lib.libvirt import ConsulNode, Gateway, Network, Secrets, Storage, site_provider
from constructs_lib.plan.model import ClusterPlan, NodePlan, SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.ensure import ensure
from constructs_lib.spec.load import from_dict
from constructs_lib.terraform import TerraformStack
from tests.conftest import need, tool
from tests.libvirt.clusters import Json, settings, synthesize, with_site
from tests.libvirt.guest_image import guest_image
from tests.libvirt.hypervisor import Hypervisor, running
from tests.openstack.conftest import Terraform

pytestmark = [pytest.mark.terraform, pytest.mark.root, pytest.mark.slow]

BOOT_SECONDS = 3600
HEALTH_SECONDS = 300
PAUSE = 10
ROUTER = "10.30.0.1"
GATEWAY, CONSUL = NODES = ("gateway-1", "consul-1")
TIME_SERVER = "local stratum 8\nallow\ncmdport 0\nbindcmdaddress /\n"


@dataclasses.dataclass(frozen=True)
class Site:
    """A gateway and a Consul node that were deployed, and how to log in."""

    terraform: Terraform
    hypervisor: Hypervisor
    plan: SitePlan
    values: Mapping[str, str]
    folder: Folder

    def node(self, name: str) -> NodePlan:
        """Its plan."""
        return next(node for node in self.plan.nodes if node.name == name)

    def ssh(self, name: str, *command: str, said: str = "") -> subprocess.CompletedProcess[str]:
        """What comes of a command on a node, by the files that `clustermesos show` writes."""
        words = self.hypervisor.inside("ssh", "-F", self.folder.batch_config, name, shlex.join(command))
        return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False, input=said)

    def asked(self, name: str, *command: str) -> str:
        """What it prints; a failure fails the test."""
        done = self.ssh(name, *command)
        assert done.returncode == 0, f"{name}: {shlex.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def healthy(self, name: str) -> subprocess.CompletedProcess[str]:
        """What the node's own program says of it, asked again while a check is too slow there."""
        end = time.monotonic() + HEALTH_SECONDS
        while True:
            done = self.ssh(name, "sudo", "clustermesos-apply", "health", "--brief")
            if done.returncode == 0 or time.monotonic() > end:
                return done
            time.sleep(PAUSE)

    def console(self, name: str) -> Path:
        """What the node's serial console said."""
        return self.folder.path / f"{name}.console"

    def wait(self, name: str) -> None:
        """Until cloud-init has ended there, in whatever way; the console's last words where it does not."""
        end, said = time.monotonic() + BOOT_SECONDS, ""
        while "status:" not in said or "running" in said or "not run" in said:
            last = self.console(name).read_text(errors="replace")[-3000:]
            assert time.monotonic() < end, f"{name}: {said}\nits console:\n{last}"
            assert f"small-dc1-{name}" in self.hypervisor.named("list"), (
                f"{name} is off, its console:\n{last}"
            )
            time.sleep(PAUSE)
            done = self.ssh(name, "cloud-init", "status")
            said = done.stdout or done.stderr


@pytest.fixture(scope="module")
def site(libvirt_terraform: Terraform) -> Iterator[Site]:
    programs = {f"/usr/bin/{name}": tool(name).resolve() for name in ("consul", "consul-template")}
    for program in ("ssh", "ssh-keygen", "chronyd"):
        need(program)
    with ExitStack() as stack:
        # A socket's path has room for 107 characters.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="libvirt-")))
        hypervisor = stack.enter_context(running(folder))
        image, checksum = guest_image(programs)
        stack.enter_context(time_server(hypervisor))
        made = deployed(libvirt_terraform, hypervisor, {"path": str(image), "sha256": checksum})
        for name in NODES:
            stack.enter_context(console_kept(made, name))
        for name in NODES:
            made.wait(name)
        yield made


@contextmanager
def time_server(hypervisor: Hypervisor) -> Iterator[None]:
    """A clock in the hypervisor's network: nodes do not start without one that they trust."""
    config = hypervisor.folder / "chrony.conf"
    config.write_text(f"{TIME_SERVER}pidfile {hypervisor.folder}/chronyd.pid\n")
    # It leaves the clock of this computer alone.
    command = (need("chronyd"), "-x", "-d", "-u", "root", "-f", config)
    with started(hypervisor.inside(*command), hypervisor.folder / "chronyd.log"):
        yield


@contextmanager
def console_kept(site: Site, name: str) -> Iterator[None]:
    """While it runs, all that the node's console says is in a file."""
    terminal = site.hypervisor.virsh("ttyconsole", f"small-dc1-{name}").strip()
    with started(["cat", terminal], site.console(name)):
        yield


@contextmanager
def started(command: list[str], log: Path) -> Iterator[None]:
    """A process that ends with the block."""
    with log.open("w") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def deployed(terraform: Terraform, hypervisor: Hypervisor, image: Json) -> Site:
    folder = Folder(terraform.folder / "ssh")
    folder.path.mkdir(mode=0o700)
    temporary = terraform.folder / "tmp"
    temporary.mkdir()
    terraform = dataclasses.replace(terraform, environ=terraform.environ | {"TMPDIR": str(temporary)})
    key = folder.path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=60)
    cluster = planned(image, str(hypervisor.folder / "pool"), key.with_suffix(".pub").read_text().strip())
    site = cluster.site("dc1")
    stack = synthesize(lambda stack: two_machines(stack, site))
    stack["provider"]["libvirt"][0]["uri"] = hypervisor.uri
    made = ensure(cluster.secrets, (), terraform.folder / "secrets.json", {})
    values = {name: made[name] for name in stack["variable"]}
    (terraform.folder / "secrets.auto.tfvars.json").write_text(json.dumps(values))
    terraform.write(stack)
    terraform("init", "-input=false")
    terraform("apply", "-auto-approve", "-input=false")
    result = Site(terraform, hypervisor, site, values, folder)
    write(hosts(result), folder, identity_file=key)
    return result


def planned(image: Json, pool: str, key: str) -> ClusterPlan:
    """What the lab's machines can't reach, a guest here can't either."""
    given = with_site(
        settings("small"),
        libvirt={"hypervisor": "qemu", "image": image, "pool_path": pool},
        consul={"count": 1, "cpus": 1, "memory_gib": 2},
        gateway={"cpus": 1, "memory_gib": 1},
        protect_data=False,
    )
    given["admin"]["ssh_keys"] = [key]
    given["nodes"] = {"time_servers": [ROUTER], "preflight_warnings": ["dns"]}
    given["software"] = {
        name: dict(read_overrides().software[name])
        for name in ("docker", "registry", "consul", "consul_template")
    }
    return plan(from_dict(given))


def two_machines(stack: TerraformStack, site: SitePlan) -> None:
    site_provider(stack, site)
    ground: dict[str, Any] = {
        "plan": site,
        "network": Network(stack, "network", plan=site),
        "storage": Storage(stack, "storage", plan=site),
        "secrets": Secrets(stack, "secrets", plan=site, roles=[Role.GATEWAY, Role.CONSUL]),
    }
    gateway = Gateway(stack, "gateway", **ground)
    ConsulNode(stack, "consul", late=gateway.late_values, **ground)


def hosts(site: Site, host_key: str | None = None) -> list[Host]:
    """As `clustermesos show` finds them; `host_key` instead of the planned one of the gateway."""
    gateway, consul = (site.node(name) for name in NODES)
    host_key = host_key or public_host_key(site.values["gateway_ssh_host_key_dc1"])
    user = site.plan.admin.user
    first = Host(
        names=(GATEWAY,), address=str(gateway.address), user=user, identity=GATEWAY, host_key=host_key
    )
    return [
        first,
        Host(names=(CONSUL,), address=str(consul.address), user=user, identity=CONSUL, via=GATEWAY),
    ]


@pytest.mark.parametrize("name", NODES)
def test_cloud_init_took_our_drive_and_all_of_it_went_well(name: str, site: Site) -> None:
    status = site.ssh(name, "cloud-init", "status").stdout
    seed = site.asked(name, "sudo", "blkid", "-L", "cidata")
    result = json.loads(site.asked(name, "cat", "/run/cloud-init/result.json"))["v1"]

    assert (status, result["errors"]) == ("status: done\n", [])
    assert f"DataSourceNoCloud [seed={seed}]" in result["datasource"]
    assert site.asked(name, "cloud-init", "query", "instance_id") == f"small-dc1-{name}"
    assert site.asked(name, "hostname") == name


@pytest.mark.parametrize("name", NODES)
def test_a_guest_has_its_planned_address_its_router_and_its_resolver(name: str, site: Site) -> None:
    (card,) = json.loads(site.asked(name, "ip", "-j", "-4", "address", "show", "dev", "eth0"))
    (route,) = json.loads(site.asked(name, "ip", "-j", "-4", "route", "show", "default"))

    addresses = [(one["local"], one["prefixlen"]) for one in card["addr_info"]]
    assert addresses == [(str(site.node(name).address), site.plan.network.prefixlen)]
    assert card["mtu"] == site.plan.mtu
    assert (route["gateway"], route["dev"]) == (ROUTER, "eth0")
    assert site.asked(name, "resolvectl", "dns", "eth0").endswith(f": {ROUTER}")
    # The network's own names, by libvirt's resolver.
    found = site.asked(name, "getent", "ahostsv4", "master-1.small-dc1.internal").split()
    assert IPv4Address(found[0]) == site.node("master-1").address


@pytest.mark.parametrize("name", NODES)
def test_a_guest_is_what_its_generation_says_and_healthy(name: str, site: Site) -> None:
    said = site.asked(name, "sudo", "cat", "/var/log/cloud-init-output.log")
    health = site.healthy(name)

    assert "generation 1 is applied" in said
    assert health.returncode == 0, health.stdout + health.stderr


@pytest.mark.parametrize("name", NODES)
def test_the_roots_file_system_has_all_of_its_disk(name: str, site: Site) -> None:
    gib = int(site.asked(name, "df", "--output=size", "-BG", "/").split()[-1].removesuffix("G"))

    assert gib >= 19


@pytest.mark.parametrize("name", NODES)
def test_secrets_are_in_their_files_and_only_root_reads_them(name: str, site: Site) -> None:
    manifest = json.loads(
        site.asked(name, "sudo", "sh", "-c", "cat /var/lib/clustermesos/generations/*/manifest.json")
    )

    expected = {secret["path"]: secret for secret in manifest["secrets"]}
    assert expected
    modes, digests = (
        dict(line.split()[::-1] for line in site.asked(name, "sudo", *command, *expected).splitlines())
        for command in (("stat", "-c", "%a %n"), ("sha256sum",))
    )

    assert modes == {path: secret.get("mode", "600") for path, secret in expected.items()}
    assert digests == {
        path: digest(site.values[secret["name"]].rstrip() + "\n" * secret.get("newline", False))
        for path, secret in expected.items()
    }


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("name", NODES)
def test_the_disk_of_secrets_is_roots_and_the_drive_holds_none_of_them(name: str, site: Site) -> None:
    disk, drive = "/dev/disk/by-id/virtio-secrets", "/dev/disk/by-label/cidata"
    search = ("sudo", "grep", "-r", "-l", "-a", "-F")
    # A secret of several lines has its value in the longest.
    words = "\n".join(max(value.splitlines(), key=len) for value in site.values.values())

    assert "Permission denied" in site.ssh(name, "head", "-c", "1", disk).stderr
    assert site.asked(name, "sudo", "blockdev", "--getro", disk) == "1"
    assert site.asked(name, *search, "#cloud-config", drive) == drive
    places = (drive, "/var/lib/cloud", "/run/cloud-init", "/var/log")
    left = site.ssh(name, *search, "-f", "-", *places, said=words)
    assert (left.returncode, left.stdout) == (1, ""), left.stderr


def test_the_data_volume_is_the_disk_with_the_nodes_serial_number(site: Site) -> None:
    source, kind = site.asked(CONSUL, "findmnt", "-n", "-o", "SOURCE,FSTYPE", "/srv/data").split()

    assert source == site.asked(CONSUL, "readlink", "-f", "/dev/disk/by-id/virtio-data-consul-1")
    assert kind == "ext4"
    assert "consul" in site.asked(CONSUL, "ls", "/srv/data").split()


def test_another_host_key_than_the_planned_one_is_refused(site: Site, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=60)
    other = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    identity = site.folder.path / "key"
    write(hosts(site, other), Folder(tmp_path), identity_file=identity)

    refused = dataclasses.replace(site, folder=Folder(tmp_path)).ssh(GATEWAY, "true")

    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr
    assert site.ssh(GATEWAY, "true").returncode == 0


def test_a_destroy_asks_guests_to_stop_and_they_do(site: Site) -> None:
    site.terraform("destroy", "-auto-approve", "-input=false")

    assert site.hypervisor.named("list", "--all") == set()
