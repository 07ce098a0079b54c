"""The machines of one role or pool on their hosts: root disk, cloud-init drive, disk of secrets, domain.

Almost nothing of a libvirt resource can be changed: the plugin fails after a clean plan, or restarts the
machine unasked. So a plain deploy ignores every change of one that is there. What stands for a machine in
Terraform is a `terraform_data`, and its disks and domain are replaced with it: `clustermesos roll` does that.
See docs/decisions/2026-11-26-libvirt.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.libvirt.network import Network
from constructs_lib.libvirt.provider import provider_of
from constructs_lib.libvirt.secrets import SERIAL, Secrets, precondition, removing, writing
from constructs_lib.libvirt.settings import GIB, libvirt_of
from constructs_lib.libvirt.storage import Storage
from constructs_lib.plan.model import SitePlan, ZonePlan
from constructs_lib.sites.names import prefix
from constructs_lib.terraform import Expr, Resource, literal, to_hcl

SHUTDOWN_SECONDS = 120
"""How long a machine has to stop before a deploy fails; it is never just switched off."""
CARD = "eth0"
_MAC = (
    'format("52:54:%02x:%02x:%02x:%02x", [for octet in split(".", each.value.address) : tonumber(octet)]...)'
)
"""A machine's own by its address: unicast, locally administered, as QEMU's are."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What machines of one role stand in; parts that were not given are made below the construct itself."""

    network: Network
    storage: Storage
    secrets: Secrets

    @classmethod
    def of(
        cls,
        scope: Scope,
        plan: SitePlan,
        role: Role,
        network: Network,
        storage: Storage | None,
        secrets: Secrets | None,
    ) -> Surroundings:
        """The given parts, completed."""
        return cls(
            network=network,
            storage=storage or Storage.of(scope, plan),
            secrets=secrets or Secrets(scope, "secrets", plan=plan, roles=[role], shared=True),
        )


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a machine has; `data` is the volume of each zone's host, where the role keeps data."""

    cpus: int
    memory_gib: int
    root_gib: int
    data: Mapping[str, Resource]


class Guests:
    """Machines for `members`, a local value: name → {zone, address}.

    `text` is the user data of `each.key`. Every resource that stands on a host is made once for each of
    `zones`, since a provider knows one host.
    """

    def __init__(
        self,
        scope: Scope,
        plan: SitePlan,
        role: Role,
        around: Surroundings,
        *,
        zones: tuple[ZonePlan, ...],
        members: Expr,
        shape: Shape,
        text: Expr,
        pool: str | None = None,
    ) -> None:
        self._pool = pool
        self._scope, self._plan, self._role, self._around = scope, plan, role, around
        self._members, self._shape, self._text = members, shape, text
        self.machine = self._machine()
        self._drive = self._cloud_init()
        self.domains: dict[str, Resource] = {}
        for zone in zones:
            disks = self._disks(zone)
            self.domains[zone.name] = self._domain(zone, disks)

    def uuids(self) -> Expr:
        """One map from every machine's name to its domain's UUID."""
        maps = ", ".join(f"{{ for k, r in {made.address} : k => r.uuid }}" for made in self.domains.values())
        return Expr(f"merge({maps})")

    def _machine(self) -> Resource:
        libvirt, shape = libvirt_of(self._plan), self._shape
        secrets = self._around.secrets.text(self._role, self._pool)
        made = Resource(
            self._scope,
            "machine",
            "terraform_data",
            for_each=self._members,
            # What a machine was made from: with it, a roll sees which ones are behind. All that is read at
            # the first boot alone has to be in it, or a roll would pass over what nothing else can bring.
            input={
                "name": f"{prefix(self._plan)}-${{each.key}}",
                "address": "${each.value.address}",
                "cpus": shape.cpus,
                "memory_gib": shape.memory_gib,
                "disk_gib": shape.root_gib,
                "hypervisor": libvirt.hypervisor,
                "image": libvirt.image.sha256,
                "user_data": Expr(f"sha256({self._text.code})"),
                "network": self._card(),
                "secrets": self._around.secrets.digest(self._role, self._pool),
            },
            lifecycle={"ignore_changes": ["input"], "precondition": [precondition(secrets)]},
        )
        made.add_override("provisioner", [writing(secrets)])
        return made

    def _named(self, suffix: str) -> str:
        """A name by the machine's: so every part refers to it, and is judged to be a part of it."""
        return f"${{{self.machine.address}[each.key].input.name}}{suffix}"

    def _lifecycle(self) -> dict[str, Any]:
        return {
            "ignore_changes": "all",
            "replace_triggered_by": [f"{self.machine.address}[each.key]"],
        }

    def _here(self, zone: ZonePlan) -> Expr:
        """The members on one zone's host."""
        return Expr(f"{{ for k, m in {self._members.code} : k => m if m.zone == {to_hcl(zone.name)} }}")

    def _cloud_init(self) -> Resource:
        return Resource(
            self._scope,
            "drive",
            "libvirt_cloudinit_disk",
            for_each=self._members,
            name=self._named("-seed"),
            user_data=Expr(self._text.code),
            # The machine's name in it, too: images of equal content would be one file.
            meta_data=f"instance-id: {self._named('')}\nlocal-hostname: ${{each.key}}\n",
            network_config=self._network_config(),
            lifecycle=self._lifecycle(),
        )

    def _card(self) -> dict[str, Any]:
        """What a machine is told of its network beside its address, in words that a roll shows."""
        network = self._around.network
        return {
            "source": network.source,
            "prefixlen": network.prefixlen,
            "gateway": str(network.gateway),
            "resolvers": ", ".join(map(str, network.resolvers)),
            "mtu": self._plan.mtu,
        }

    def _network_config(self) -> str:
        """Version 1, from which each of cloud-init's renderers writes a default route that works there.

        Of version 2, `gateway4` is deprecated by netplan, Debian 12's cloud-init stops at `to: default`, and
        with ifupdown `to: 0.0.0.0/0` is a call of net-tools' route, which images need not have.
        """
        network = self._around.network
        resolvers = ", ".join(map(str, network.resolvers))
        return (
            "version: 1\n"
            "config:\n"
            "  - type: physical\n"
            f"    name: {CARD}\n"
            f'    mac_address: "${{{_MAC}}}"\n'
            f"    mtu: {self._plan.mtu}\n"
            "    subnets:\n"
            "      - type: static\n"
            f"        address: ${{each.value.address}}/{network.prefixlen}\n"
            f"        gateway: {network.gateway}\n"
            f"        dns_nameservers: [{resolvers}]\n"
        )

    def _disks(self, zone: ZonePlan) -> dict[str, Resource]:
        storage = self._around.storage
        root = self._volume(
            zone,
            "root",
            ".qcow2",
            capacity=self._shape.root_gib * GIB,
            target={"format": {"type": "qcow2"}},
            backing_store={"path": storage.base(zone), "format": {"type": "qcow2"}},
            lifecycle={**self._lifecycle(), "precondition": [storage.still_there(self.machine)]},
        )
        seed = self._volume(
            zone, "seed", ".iso", create={"content": {"url": f"${{{self._drive.address}[each.key].path}}"}}
        )
        secrets = self._volume(
            zone,
            "secrets",
            "",
            target={"format": {"type": "raw"}},
            create={"content": {"url": f"secrets/{self._named('')}"}},
        )
        secrets.add_override("provisioner", [removing()])
        return {"root": root, "seed": seed, "secrets": secrets}

    def _volume(self, zone: ZonePlan, word: str, ending: str, **attributes: Any) -> Resource:
        return Resource(
            self._scope,
            f"{word}-{zone.name}",
            "libvirt_volume",
            for_each=self._here(zone),
            name=self._named(f"-{word}{ending}"),
            pool=self._around.storage.pool(zone),
            provider=provider_of(self._scope, self._plan, zone),
            **{"lifecycle": self._lifecycle(), **attributes},
        )

    def _domain(self, zone: ZonePlan, disks: Mapping[str, Resource]) -> Resource:
        plan, shape = self._plan, self._shape
        kvm = libvirt_of(plan).hypervisor == "kvm"
        return Resource(
            self._scope,
            f"domain-{zone.name}",
            "libvirt_domain",
            for_each=self._here(zone),
            name=self._named(""),
            description=literal(f"clustermesos: {self._role} of {plan.cluster}/{plan.name}"),
            type=libvirt_of(plan).hypervisor,
            vcpu=shape.cpus,
            memory=shape.memory_gib * 1024,
            memory_unit="MiB",
            running=True,
            autostart=True,
            cpu={"mode": "host-model" if kvm else "maximum"},
            # Without ACPI a machine can't be asked to stop.
            features={"acpi": True},
            os={
                "type": "hvm",
                "type_arch": "x86_64",
                "type_machine": "q35",
                "boot_devices": [{"dev": "hd"}],
            },
            destroy={"shutdown": {"timeout": SHUTDOWN_SECONDS}},
            devices={
                "disks": self._attached(zone, disks),
                "interfaces": [
                    {
                        "mac": {"address": Expr(_MAC)},
                        "model": {"type": "virtio"},
                        "source": self._around.network.source,
                    }
                ],
                "serials": [{"target": {"port": 0}}],
                "consoles": [{"target": {"type": "serial", "port": 0}}],
            },
            lifecycle=self._lifecycle(),
            depends_on=self._around.network.road,
            provider=provider_of(self._scope, plan, zone),
        )

    def _attached(self, zone: ZonePlan, disks: Mapping[str, Resource]) -> list[dict[str, Any]]:
        """All on virtio: the kernels of cloud images have no driver for q35's SATA."""
        pool = self._around.storage.pool(zone)
        data = self._shape.data.get(zone.name)
        attached = [_disk(pool, disks["root"], "vda", "qcow2")]
        if data:
            attached.append(_disk(pool, data, "vdb", "qcow2") | {"serial": data_serial("${each.key}")})
        seed, secrets = _disk(pool, disks["seed"], "vdc", "raw"), _disk(pool, disks["secrets"], "vdd", "raw")
        return [*attached, seed | {"read_only": True}, secrets | {"read_only": True, "serial": SERIAL}]


def data_serial(node: str) -> str:
    """The serial number of a node's data volume, by which the node finds it; at most 20 characters."""
    return f"data-{node}"


def _disk(pool: str, volume: Resource, target: str, format: str) -> dict[str, Any]:
    return {
        "source": {"volume": {"pool": pool, "volume": f"${{{volume.address}[each.key].name}}"}},
        "target": {"dev": target, "bus": "virtio"},
        "driver": {"type": format},
    }
