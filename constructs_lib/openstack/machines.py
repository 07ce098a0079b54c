"""Machines with a planned address: masters, Consul nodes, gateways and edges.

Each has a port with its fixed address, and where the role keeps data a volume; both outlive the machine. What
a plain deploy must not replace, rebuild or resize is ignored after creation: see
docs/decisions/2026-11-26-openstack.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.openstack.firewall import Firewall
from constructs_lib.openstack.images import machine_image
from constructs_lib.openstack.key_pair import key_pair
from constructs_lib.openstack.network import Network
from constructs_lib.openstack.secrets import Secrets, precondition
from constructs_lib.openstack.settings import availability_zone, openstack_of, volume_zone
from constructs_lib.openstack.sizes import flavor
from constructs_lib.openstack.tags import metadata, neutron_tags
from constructs_lib.openstack.user_data import user_data
from constructs_lib.plan.hosts import ROOT_GIB
from constructs_lib.plan.model import NodePlan, SitePlan
from constructs_lib.sites.names import prefix
from constructs_lib.sites.user_data import Late, compressed
from constructs_lib.spec.model import ConsulSpec, EdgeSpec, GatewaySpec, MastersSpec
from constructs_lib.terraform import Expr, Resource, TerraformElement
from constructs_lib.terraform.naming import place_of

IGNORED = [
    "availability_zone",
    "block_device",
    "flavor_id",
    "flavor_name",
    "image_id",
    "image_name",
    "key_pair",
    "personality",
    "scheduler_hints",
    "user_data",
]
"""Settings that a plain deploy leaves alone; `clustermesos roll` replaces a node so that it takes them."""
_SETTINGS = {Role.MASTER: "masters", Role.CONSUL: "consul", Role.GATEWAY: "gateway", Role.EDGE: "edge"}
"""Where cluster.yaml says what machines of a role are like."""
ADDRESS = "clustermesos:address"
"""The machine's planned address in its metadata; its own attributes are known only after it was made."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What machines of one role stand in; parts that were not given are made below the construct itself."""

    network: Network
    firewall: Firewall
    secrets: Secrets
    image: str

    @classmethod
    def of(
        cls,
        scope: Scope,
        plan: SitePlan,
        role: Role,
        network: Network,
        firewall: Firewall | None,
        secrets: Secrets | None,
        image: str | None,
    ) -> Surroundings:
        """The given parts, completed."""
        return cls(
            network=network,
            firewall=firewall or Firewall(scope, "firewall", plan=plan, roles=[role]),
            secrets=secrets or Secrets(scope, "secrets", plan=plan, roles=[role], shared=True),
            image=machine_image(scope, plan, image),
        )

    def ready(self) -> list[TerraformElement]:
        """What must exist before a machine boots: its road and its rules."""
        return [*self.network.road, *self.firewall.rules]


class Machines:
    """The ports, volumes and instances of one role, made below `scope`."""

    def __init__(
        self,
        scope: Scope,
        plan: SitePlan,
        role: Role,
        spec: MastersSpec | ConsulSpec | GatewaySpec | EdgeSpec,
        around: Surroundings,
    ) -> None:
        self.nodes = plan.nodes_of(role)
        self._scope, self._plan, self._role = scope, plan, role
        self._spec, self._around = spec, around
        kept = tuple(node for node in self.nodes if node.data_volume)
        self.ports = self._ports()
        self._volume = (
            self._volumes(kept, spec.disk_gib) if isinstance(spec, MastersSpec | ConsulSpec) else None
        )
        self.late_values: dict[str, Expr] = {
            node.data_volume.name: Expr(f'{self._volume.address}["{node.name}"].id')
            for node in kept
            if node.data_volume and self._volume
        }

    def boot(self, late: Late) -> None:
        """Make the instances; apart, since their texts may tell of addresses that lead to the ports."""
        self.instance = self._instances({**late, **self._around.network.late_values, **self.late_values})

    def port_id(self, node: NodePlan) -> str:
        """The id of a node's port, as an expression."""
        return self.ports.each(node.name, "id")

    def instance_id(self, node: NodePlan) -> str:
        """The id of a node's instance, as an expression."""
        return self.instance.each(node.name, "id")

    def outputs(self) -> dict[str, dict[str, Any]]:
        """Node name → role, zone, address and instance id, for the stack's output."""
        return {
            node.name: {
                "role": node.role.value,
                "zone": availability_zone(self._plan, node.zone) or node.zone.name,
                "address": str(node.address),
                "instance_id": self.instance_id(node),
            }
            for node in self.nodes
        }

    def _ports(self) -> Resource:
        return Resource(
            self._scope,
            "port",
            "openstack_networking_port_v2",
            for_each={node.name: str(node.address) for node in self.nodes},
            **port(self._plan, self._role, self._around, address="${each.value}"),
            allowed_address_pairs=self._others() or None,
        )

    def _others(self) -> list[dict[str, str]]:
        """What the gateway's port may speak for besides its own address: packets of other sites."""
        if self._role is not Role.GATEWAY or self._plan.link is None:
            return []
        return [{"ip_address": str(site.network)} for site in self._plan.link.sites]

    def _instances(self, late: Late) -> Resource:
        plan, role = self._plan, self._role
        texts = {node.name: user_data(plan, node, late) for node in self.nodes}
        name = "_".join((*place_of(self._scope).parts, "user_data"))
        group = self._server_group()
        return Resource(
            self._scope,
            "Resource",
            "openstack_compute_instance_v2",
            for_each={node.name: self._place(node) for node in self.nodes},
            **machine(self._scope, plan, role, self._around),
            **flavor(self._scope, self._spec, path=f"sites.{plan.name}.{_SETTINGS[role]}"),
            availability_zone="${each.value.zone}" if openstack_of(plan).availability_zones else None,
            network=[{"port": Expr(f"{self.ports.address}[each.key].id")}],
            block_device=[root_disk(self._around.image, ROOT_GIB), *self._data_disk()],
            user_data=compressed(self._scope, name, texts),
            metadata={**metadata(plan, role), ADDRESS: "${each.value.address}"},
            scheduler_hints=[{"group": group.ref("id")}] if group else None,
            depends_on=self._around.ready(),
        )

    def _place(self, node: NodePlan) -> Mapping[str, str]:
        zone = availability_zone(self._plan, node.zone)
        return {"address": str(node.address), **({"zone": zone} if zone else {})}

    def _data_disk(self) -> list[dict[str, Any]]:
        """Attached before the first boot, in the same request, so that nothing waits for it or guesses."""
        if self._volume is None:
            return []
        return [
            {
                "source_type": "volume",
                "destination_type": "volume",
                "uuid": Expr(f"{self._volume.address}[each.key].id"),
                "boot_index": -1,
                "delete_on_termination": False,
            }
        ]

    def _server_group(self) -> Resource | None:
        """Nodes that vote never share a host, or only where there are too few hosts."""
        if self._volume is None:
            return None
        hard = openstack_of(self._plan).anti_affinity == "hard"
        return Resource(
            self._scope,
            "hosts",
            "openstack_compute_servergroup_v2",
            name=f"{prefix(self._plan)}-{self._role}",
            policies=["anti-affinity" if hard else "soft-anti-affinity"],
        )

    def _volumes(self, nodes: tuple[NodePlan, ...], size: int) -> Resource:
        plan = self._plan
        zoned = bool(openstack_of(plan).volume_zones)
        return Resource(
            self._scope,
            "data",
            "openstack_blockstorage_volume_v3",
            for_each={node.name: volume_zone(plan, node.zone) or "" for node in nodes},
            name=f"{prefix(plan)}-${{each.key}}-data",
            size=size,
            availability_zone="${each.value}" if zoned else None,
            volume_type=openstack_of(plan).volume_type,
            # A volume in use grows only so.
            enable_online_resize=True,
            metadata=metadata(plan, self._role),
            # Another zone or type would mean another, empty volume.
            lifecycle={
                "ignore_changes": ["availability_zone", "volume_type"],
                **({"prevent_destroy": True} if plan.protect_data else {}),
            },
        )


def port(plan: SitePlan, role: Role, around: Surroundings, *, address: str) -> dict[str, Any]:
    """The arguments of a machine's port. Without a group it would get the project's default one."""
    return {
        "name": f"{prefix(plan)}-${{each.key}}",
        "network_id": around.network.network_id,
        "admin_state_up": True,
        "security_group_ids": [around.firewall.group_id(role)],
        "fixed_ip": [{"subnet_id": around.network.subnet_id, "ip_address": address}],
        "tags": neutron_tags(plan),
    }


def machine(
    scope: Scope, plan: SitePlan, role: Role, around: Surroundings, pool: str | None = None
) -> dict[str, Any]:
    """The arguments that every machine has."""
    file = around.secrets.file(role, pool)
    return {
        "name": f"{prefix(plan)}-${{each.key}}",
        "config_drive": True,
        "key_pair": key_pair(scope, plan),
        "personality": [*([file] if file else []), *around.secrets.carried()],
        # Nova pulls the plug when it deletes; stopping first lets the system unmount its volume.
        "stop_before_destroy": True,
        "lifecycle": {
            "ignore_changes": IGNORED,
            **({"precondition": [precondition(file)]} if file else {}),
        },
    }


def root_disk(image: str, gib: int) -> dict[str, Any]:
    """A volume of its own, copied from the image, so that its size does not depend on the flavor."""
    return {
        "source_type": "image",
        "destination_type": "volume",
        "uuid": image,
        "volume_size": gib,
        "boot_index": 0,
        "delete_on_termination": True,
    }
