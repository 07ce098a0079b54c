"""Machines with a planned address: masters, Consul nodes, gateways and edges.

Where the role keeps data, each has a volume that outlives it.
"""

from __future__ import annotations

from typing import Any

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.libvirt.guests import Guests, Shape, Surroundings, data_serial
from constructs_lib.libvirt.provider import provider_of
from constructs_lib.libvirt.settings import GIB
from constructs_lib.libvirt.user_data import user_data
from constructs_lib.plan.hosts import root_gib
from constructs_lib.plan.model import NodePlan, SitePlan, ZonePlan
from constructs_lib.sites.names import prefix
from constructs_lib.sites.user_data import Late
from constructs_lib.spec.model import ConsulSpec, EdgeSpec, GatewaySpec, MastersSpec
from constructs_lib.terraform import Expr, Resource, to_hcl
from constructs_lib.terraform.local_value import local_value
from constructs_lib.terraform.naming import place_of


class Machines:
    """The machines and data volumes of one role, made below `scope`."""

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
        self._zones = tuple(zone for zone in plan.zones if any(node.zone == zone for node in self.nodes))
        self._data = (
            {zone.name: self._volumes(zone, spec.disk_gib) for zone in self._zones}
            if isinstance(spec, MastersSpec | ConsulSpec)
            else {}
        )
        self.late_values: dict[str, Expr] = {
            node.data_volume.name: Expr(to_hcl(data_serial(node.name)))
            for node in self.nodes
            if node.data_volume
        }

    def boot(self, late: Late) -> None:
        """Make the machines; apart, since their texts may tell of others' late values."""
        texts = {node.name: user_data(self._plan, node, {**late, **self.late_values}) for node in self.nodes}
        place = place_of(self._scope)
        written = local_value(place, "user_data", texts)
        members = {node.name: {"zone": node.zone.name, "address": str(node.address)} for node in self.nodes}
        self.guests = Guests(
            self._scope,
            self._plan,
            self._role,
            self._around,
            zones=self._zones,
            members=local_value(place, "members", members),
            shape=Shape(
                cpus=self._spec.cpus,
                memory_gib=self._spec.memory_gib,
                root_gib=root_gib(self._spec),
                data=self._data,
            ),
            text=Expr(f"{written.code}[each.key]"),
        )

    def instance_id(self, node: NodePlan) -> str:
        """The UUID of a node's domain, as an expression."""
        return self.guests.domains[node.zone.name].each(node.name, "uuid")

    def outputs(self) -> dict[str, dict[str, Any]]:
        """Node name → role, zone, address and instance id, for the stack's output."""
        return {
            node.name: {
                "role": node.role.value,
                "zone": node.zone.name,
                "address": str(node.address),
                "instance_id": self.instance_id(node),
            }
            for node in self.nodes
        }

    def _volumes(self, zone: ZonePlan, size: int) -> Resource:
        plan = self._plan
        names = [node.name for node in self.nodes if node.zone == zone]
        return Resource(
            self._scope,
            f"data-{zone.name}",
            "libvirt_volume",
            for_each={name: f"{prefix(plan)}-{name}-data.qcow2" for name in names},
            name="${each.value}",
            pool=self._around.storage.pool(zone),
            capacity=size * GIB,
            target={"format": {"type": "qcow2"}},
            # No volume can be changed by the plugin, see docs/libvirt.md for how one grows.
            lifecycle={"ignore_changes": "all", **({"prevent_destroy": True} if plan.protect_data else {})},
            provider=provider_of(self._scope, plan, zone),
        )
