"""Agent pools."""

from __future__ import annotations

from typing import Any

from constructs import Construct as Scope

from constructs_lib.aws.firewall import Firewall
from constructs_lib.aws.iam import NodeAccess
from constructs_lib.aws.images import ROOT_DEVICE
from constructs_lib.aws.machines import METADATA, Surroundings
from constructs_lib.aws.network import Network
from constructs_lib.aws.settings import aws_of
from constructs_lib.aws.sizes import instance_type
from constructs_lib.aws.tags import common_tags, tags
from constructs_lib.aws.user_data import user_data
from constructs_lib.components.model import Role
from constructs_lib.plan.model import PoolPlan, SitePlan
from constructs_lib.sites.names import prefix
from constructs_lib.sites.user_data import Late, compressed_one
from constructs_lib.terraform import Construct, Resource, literal
from constructs_lib.terraform.naming import place_of


class AgentPool(Construct):
    """The agents of one pool: an Auto Scaling group over all zones, fed from a launch template.

    The group follows the template's `$Latest` version, so a changed size, image or text concerns machines
    that start from then on and no running one; `clustermesos roll agents POOL` replaces those. Agents are
    protected from scale-in: AWS never chooses which one ends. `firewall`, `access` and `image` are made here
    unless given, so that a pool alone can join the masters that its plan names.
    """

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        pool: str,
        network: Network,
        firewall: Firewall | None = None,
        access: NodeAccess | None = None,
        image: str | None = None,
        late: Late | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._plan, self._pool = plan, plan.pool(pool)
        around = Surroundings.of(self, plan, Role.AGENT, network, firewall, access, image)
        self.template = self._template(around, late or {})
        self.group = self._group(around)

    def outputs(self) -> dict[str, Any]:
        """Names and bounds of the pool, for the stack's output."""
        return {
            "autoscaling_group": self.group.ref("name"),
            "launch_template": self.template.ref("id"),
            "min": self._pool.min,
            "max": self._pool.max,
        }

    def _template(self, around: Surroundings, late: Late) -> Resource:
        plan, pool = self._plan, self._pool
        name = "_".join((*place_of(self).parts, "user_data"))
        return Resource(
            self,
            "template",
            "aws_launch_template",
            name=f"{prefix(plan)}-{pool.name}",
            image_id=around.image,
            instance_type=instance_type(
                pool.spec.cpus,
                pool.spec.memory_gib,
                pool.spec.instance_type,
                path=f"sites.{plan.name}.agents.{pool.name}",
            ),
            user_data=compressed_one(self, name, user_data(plan, pool, late)),
            ebs_optimized="true",
            iam_instance_profile={"name": around.access.profile_name(Role.AGENT)},
            vpc_security_group_ids=[around.firewall.group_id(Role.AGENT)],
            metadata_options=METADATA,
            block_device_mappings={"device_name": ROOT_DEVICE, "ebs": self._root_volume()},
            instance_market_options={"market_type": "spot"} if pool.spec.spot else None,
            tag_specifications=[
                {"resource_type": kind, "tags": _tags(plan, pool)} for kind in ("instance", "volume")
            ],
            tags=tags(plan, pool.name, Role.AGENT),
        )

    def _root_volume(self) -> dict[str, Any]:
        return {
            "volume_type": "gp3",
            "volume_size": self._pool.spec.disk_gib,
            "encrypted": "true",
            "kms_key_id": aws_of(self._plan).kms_key_arn,
            "delete_on_termination": "true",
        }

    def _group(self, around: Surroundings) -> Resource:
        plan, pool = self._plan, self._pool
        subnets = around.network.subnets
        return Resource(
            self,
            "Resource",
            "aws_autoscaling_group",
            name=f"{prefix(plan)}-{pool.name}",
            min_size=pool.min,
            max_size=pool.max,
            **_capacity(pool),
            vpc_zone_identifier=[subnets[zone.name].agents.id for zone in plan.zones],
            launch_template={"id": self.template.ref("id"), "version": "$Latest"},
            health_check_type="EC2",
            health_check_grace_period=300,
            protect_from_scale_in=True,
            termination_policies=["OldestLaunchTemplate", "OldestInstance"],
            # Rebalancing zones would end agents with their tasks on them; new ones are spread anyway.
            suspended_processes=["AZRebalance"],
            capacity_rebalance=pool.spec.spot,
            # Without it a destroy waits for protected agents that never leave.
            force_delete=not plan.protect_data,
            tag=[
                {"key": key, "value": value, "propagate_at_launch": True}
                for key, value in sorted(_tags(plan, pool).items())
            ],
            depends_on=around.ready(Role.AGENT),
        )


def _capacity(pool: PoolPlan) -> dict[str, Any]:
    """How many agents the group is told to have, and whether a deploy waits for them.

    Whatever scales an elastic pool sets its capacity, and a deploy must not set it back. The plugin then
    waits for as many agents as the group had before: ten minutes in vain when the new minimum is higher.
    """
    if pool.min == pool.max:
        return {"desired_capacity": pool.min}
    return {"wait_for_capacity_timeout": "0"}


def _tags(plan: SitePlan, pool: PoolPlan) -> dict[str, str]:
    """The machines' tags: the pool's labels among them."""
    labels = {literal(key): literal(value) for key, value in pool.spec.labels.items()}
    return {
        **labels,
        **common_tags(plan, Role.AGENT),
        "Name": f"{prefix(plan)}-{pool.name}",
        "clustermesos:pool": pool.name,
    }
