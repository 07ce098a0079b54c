"""Agent pools."""

from __future__ import annotations

from typing import Any

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.openstack.elastic import elastic_number, pool_tags
from constructs_lib.openstack.firewall import Firewall
from constructs_lib.openstack.machines import ADDRESS, Surroundings, machine, port, root_disk
from constructs_lib.openstack.network import Network
from constructs_lib.openstack.secrets import Secrets
from constructs_lib.openstack.settings import availability_zone
from constructs_lib.openstack.sizes import flavor
from constructs_lib.openstack.tags import metadata
from constructs_lib.openstack.user_data import user_data
from constructs_lib.plan.addresses import FIRST_AGENT_OFFSET
from constructs_lib.plan.model import PoolPlan, SitePlan
from constructs_lib.sites.user_data import Late, compressed_one
from constructs_lib.terraform import Construct, Expr, Resource, literal, to_hcl
from constructs_lib.terraform.local_value import local_value
from constructs_lib.terraform.naming import place_of


class AgentPool(Construct):
    """The agents of one pool, general-1, general-2 and so on, in turn over the pool's zones.

    Name, zone and address are functions of an index in one Terraform expression, so that the stack is the
    same size for one agent and for thousands; one more adds one port and one machine and touches no other.
    Between `min` and `max` a variable says how many there are: `constructs_lib.openstack.elastic`.
    Changed sizes, images and texts concern machines that are made from then on. `firewall`, `secrets` and
    `image` are made here unless given, so that a pool alone can join the masters that its plan names.
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
        secrets: Secrets | None = None,
        image: str | None = None,
        late: Late | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._plan, self._pool = plan, plan.pool(pool)
        around = Surroundings.of(self, plan, Role.AGENT, network, firewall, secrets, image)
        number = elastic_number(self, plan, self._pool) if self._pool.elastic else self._pool.max
        members = local_value(place_of(self), "members", _members(plan, self._pool, number))
        own = port(plan, Role.AGENT, around, address="${each.value.address}")
        self.ports = Resource(
            self,
            "port",
            "openstack_networking_port_v2",
            for_each=members,
            **own | {"tags": pool_tags(plan, self._pool)},
        )
        self.instance = self._instances(members, around, {**network.late_values, **(late or {})})

    def outputs(self) -> dict[str, Any]:
        """Bounds of the pool, and its agents by name, for the stack's output."""
        each = f"{{ id = machine.id, address = machine.metadata[{to_hcl(ADDRESS)}] }}"
        agents = Expr(f"{{ for name, machine in {self.instance.address} : name => {each} }}")
        return {"min": self._pool.min, "max": self._pool.max, "agents": agents}

    def _instances(self, members: Expr, around: Surroundings, late: Late) -> Resource:
        plan, pool = self._plan, self._pool
        name = "_".join((*place_of(self).parts, "user_data"))
        return Resource(
            self,
            "Resource",
            "openstack_compute_instance_v2",
            for_each=members,
            **machine(self, plan, Role.AGENT, around, pool.name),
            **flavor(self, pool.spec, path=f"sites.{plan.name}.agents.{pool.name}"),
            availability_zone="${each.value.zone}" if _zone_names(plan, pool) else None,
            network=[{"port": Expr(f"{self.ports.address}[each.key].id")}],
            block_device=[root_disk(around.image, pool.spec.disk_gib)],
            user_data=compressed_one(self, name, user_data(plan, pool, late)),
            metadata=self._metadata(),
            depends_on=around.ready(),
        )

    def _metadata(self) -> dict[str, str]:
        labels = {literal(key): literal(value) for key, value in self._pool.spec.labels.items()}
        return {
            **labels,
            **metadata(self._plan, Role.AGENT),
            "clustermesos:pool": self._pool.name,
            ADDRESS: "${each.value.address}",
        }


def _members(plan: SitePlan, pool: PoolPlan, number: int | str) -> Expr:
    """Agent's name → address, and zone where nova is told one, for as many as `number` says.

    Agent number i + 1 stands in zone i mod n, at the place i / n of the pool's part of that zone.
    """
    ranges = to_hcl([str(network) for network in pool.ranges.values()])
    address = f"cidrhost(element({ranges}, i), floor(i / {len(pool.ranges)}) + {FIRST_AGENT_OFFSET})"
    zones = _zone_names(plan, pool)
    zone = f", zone = element({to_hcl(zones)}, i)" if zones else ""
    member = f'"{pool.name}-${{i + 1}}" => {{ address = {address}{zone} }}'
    return Expr(f"{{ for i in range({number}) : {member} }}")


def _zone_names(plan: SitePlan, pool: PoolPlan) -> list[str]:
    """Nova's names of the pool's zones, none where nova chooses."""
    zones = {zone.name: availability_zone(plan, zone) for zone in plan.zones}
    return [name for letter in pool.ranges if (name := zones[letter])]
