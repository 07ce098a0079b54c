"""Machines with a planned address: masters, Consul nodes, gateways and edges.

One `aws_instance` and, where the role keeps data, one `aws_ebs_volume`, each with `for_each` by node name.
What a plain deploy must not replace or restart is ignored after creation: see
docs/decisions/2026-11-25-aws.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from constructs import Construct as Scope

from constructs_lib.aws.firewall import Firewall
from constructs_lib.aws.iam import NodeAccess
from constructs_lib.aws.images import machine_image
from constructs_lib.aws.network import Network
from constructs_lib.aws.settings import availability_zone, aws_of
from constructs_lib.aws.sizes import instance_type
from constructs_lib.aws.tags import tags
from constructs_lib.aws.user_data import user_data
from constructs_lib.components.model import Role
from constructs_lib.plan.model import NodePlan, SitePlan
from constructs_lib.sites.user_data import Late, compressed
from constructs_lib.spec.model import ConsulSpec, EdgeSpec, GatewaySpec, MastersSpec
from constructs_lib.terraform import Expr, Resource, TerraformElement
from constructs_lib.terraform.naming import place_of
from constructs_lib.terraform.policy import accept

ROOT_GIB = 20
"""The operating system, Docker's images and logs; data has its own volume."""
DATA_DEVICE = "/dev/sdf"
"""First of the names that AWS recommends for data; the node finds the volume by its id, not by this name."""
IGNORED = [
    "ami",
    "associate_public_ip_address",
    "ebs_optimized",
    "instance_type",
    "root_block_device",
    "user_data",
    "user_data_base64",
]
"""Settings that a plain deploy leaves alone; `clustermesos roll` replaces a node so that it takes them."""
METADATA = {"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1}
"""IMDSv2 only, and one hop only: a container behind Docker's bridge cannot take the machine's role."""
NO_MONITORING = (
    "Prometheus scrapes every node at a finer grain; CloudWatch's detail is charged per machine on top"
)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What machines of one role stand in; parts that were not given are made below the construct itself."""

    network: Network
    firewall: Firewall
    access: NodeAccess
    image: str

    @classmethod
    def of(
        cls,
        scope: Scope,
        plan: SitePlan,
        role: Role,
        network: Network,
        firewall: Firewall | None,
        access: NodeAccess | None,
        image: str | None,
    ) -> Surroundings:
        """The given parts, completed."""
        return cls(
            network=network,
            firewall=firewall or Firewall(scope, "firewall", plan=plan, network=network, roles=[role]),
            access=access or NodeAccess(scope, "access", plan=plan, roles=[role]),
            image=machine_image(scope, plan, image),
        )

    def ready(self, role: Role) -> list[TerraformElement]:
        """What must exist before a machine of the role boots: its road, its rules and its permissions."""
        road = self.network.public_road if role is Role.GATEWAY else self.network.private_road
        return [*road, *self.firewall.rules, *self.access.permissions(role)]


class Machines:
    """The instances and data volumes of one role, made below `scope`."""

    def __init__(
        self,
        scope: Scope,
        plan: SitePlan,
        role: Role,
        spec: MastersSpec | ConsulSpec | GatewaySpec | EdgeSpec,
        around: Surroundings,
        late: Late,
    ) -> None:
        self.nodes = plan.nodes_of(role)
        self._scope, self._plan, self._role = scope, plan, role
        kept = tuple(node for node in self.nodes if node.data_volume)
        self._volume = (
            self._volumes(kept, spec.disk_gib) if isinstance(spec, MastersSpec | ConsulSpec) else None
        )
        self.late_values: dict[str, Expr] = {
            node.data_volume.name: Expr(f'{self._volume.address}["{node.name}"].id')
            for node in kept
            if node.data_volume and self._volume
        }
        self.instance = self._instances(spec, around, {**late, **self.late_values})
        if self._volume:
            self._attach(kept, self._volume)

    def instance_id(self, node: NodePlan) -> str:
        """The id of a node's instance, as an expression."""
        return self.instance.each(node.name, "id")

    def outputs(self) -> dict[str, dict[str, Any]]:
        """Node name → role, zone, address and instance id, for the stack's output."""
        return {
            node.name: {
                "role": node.role.value,
                "zone": availability_zone(self._plan, node.zone),
                "address": str(node.address),
                "instance_id": self.instance_id(node),
            }
            for node in self.nodes
        }

    def _instances(self, spec: Any, around: Surroundings, late: Late) -> Resource:
        plan, role = self._plan, self._role
        texts = {node.name: user_data(plan, node, late) for node in self.nodes}
        name = "_".join((*place_of(self._scope).parts, "user_data"))
        instance = Resource(
            self._scope,
            "Resource",
            "aws_instance",
            for_each={node.name: self._place(node, around.network) for node in self.nodes},
            ami=around.image,
            instance_type=instance_type(
                spec.cpus, spec.memory_gib, spec.instance_type, path=f"sites.{plan.name}.{role}"
            ),
            subnet_id="${each.value.subnet}",
            private_ip="${each.value.address}",
            # What it passes on between sites is neither from it nor for it.
            source_dest_check=False if role is Role.GATEWAY and plan.link else None,
            associate_public_ip_address=around.network.public_addresses,
            vpc_security_group_ids=[around.firewall.group_id(role)],
            iam_instance_profile=around.access.profile_name(role),
            user_data_base64=compressed(self._scope, name, texts),
            ebs_optimized=True,
            metadata_options=METADATA,
            root_block_device=self._root_volume(),
            tags=tags(plan, "${each.key}", role),
            lifecycle={"ignore_changes": IGNORED},
            depends_on=around.ready(role),
        )
        accept(instance, "CKV_AWS_126", NO_MONITORING)
        return instance

    def _place(self, node: NodePlan, network: Network) -> Mapping[str, str]:
        subnets = network.subnets[node.zone.name]
        subnet = subnets.public if self._role is Role.GATEWAY else subnets.control
        return {"subnet": subnet.id, "address": str(node.address)}

    def _root_volume(self) -> Mapping[str, Any]:
        return {
            "volume_type": "gp3",
            "volume_size": ROOT_GIB,
            "encrypted": True,
            "kms_key_id": aws_of(self._plan).kms_key_arn,
            "tags": tags(self._plan, "${each.key}-root", self._role),
        }

    def _volumes(self, nodes: tuple[NodePlan, ...], size: int) -> Resource:
        plan = self._plan
        key = aws_of(plan).kms_key_arn
        volume = Resource(
            self._scope,
            "data",
            "aws_ebs_volume",
            for_each={node.name: availability_zone(plan, node.zone) for node in nodes},
            availability_zone="${each.value}",
            type="gp3",
            size=size,
            encrypted=True,
            kms_key_id=key,
            tags=tags(plan, "${each.key}-data", self._role),
            # A volume keeps the key that it was made with: another one would mean another, empty volume.
            lifecycle={
                "ignore_changes": ["kms_key_id"],
                **({"prevent_destroy": True} if plan.protect_data else {}),
            },
        )
        if key is None:
            accept(
                volume, "CKV_AWS_189", "encrypted with EBS' own key; aws.kms_key_arn makes it a customer's"
            )
        return volume

    def _attach(self, nodes: tuple[NodePlan, ...], volume: Resource) -> None:
        Resource(
            self._scope,
            "attachment",
            "aws_volume_attachment",
            for_each={node.name: self.instance_id(node) for node in nodes},
            device_name=DATA_DEVICE,
            volume_id=Expr(f"{volume.address}[each.key].id"),
            instance_id="${each.value}",
            # A mounted volume cannot be detached; it is let go when its instance ends, after the system shut
            # down.
            skip_destroy=True,
        )
