"""Agent pools."""

from __future__ import annotations

from typing import Any

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.libvirt.guests import Guests, Shape, Surroundings
from constructs_lib.libvirt.network import Network
from constructs_lib.libvirt.secrets import Secrets
from constructs_lib.libvirt.storage import Storage
from constructs_lib.libvirt.user_data import user_data
from constructs_lib.plan.addresses import FIRST_AGENT_OFFSET
from constructs_lib.plan.hosts import root_gib
from constructs_lib.plan.model import PoolPlan, SitePlan
from constructs_lib.sites.user_data import Late
from constructs_lib.terraform import Construct, Expr, to_hcl
from constructs_lib.terraform.local_value import local_value
from constructs_lib.terraform.naming import place_of


class AgentPool(Construct):
    """The agents of one pool, general-1, general-2 and so on, in turn over the hosts of the pool's zones.

    Name, host and address are functions of an index in one Terraform expression, so that the stack is the
    same size for one agent and for thousands; one more adds its own disks and domain and touches no other.
    Changed sizes, images and texts concern machines that are made from then on. `storage` and `secrets` are
    made here unless given, so that a pool alone can join the masters that its plan names.
    """

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        pool: str,
        network: Network,
        storage: Storage | None = None,
        secrets: Secrets | None = None,
        late: Late | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._pool = plan.pool(pool)
        place, spec = place_of(self), self._pool.spec
        self.guests = Guests(
            self,
            plan,
            Role.AGENT,
            Surroundings.of(self, plan, Role.AGENT, network, storage, secrets),
            zones=tuple(zone for zone in plan.zones if zone.name in self._pool.ranges),
            members=local_value(place, "members", _members(self._pool)),
            shape=Shape(cpus=spec.cpus, memory_gib=spec.memory_gib, root_gib=root_gib(spec), data={}),
            text=local_value(place, "user_data", user_data(plan, self._pool, late or {})),
            pool=pool,
        )

    def outputs(self) -> dict[str, Any]:
        """Bounds of the pool, and its agents by name, for the stack's output."""
        machines = self.guests.machine.address
        each = f"{{ id = uuid, address = {machines}[name].input.address }}"
        agents = Expr(f"{{ for name, uuid in {self.guests.uuids().code} : name => {each} }}")
        return {"min": self._pool.min, "max": self._pool.max, "agents": agents}


def _members(pool: PoolPlan) -> Expr:
    """Agent's name → zone and address.

    Agent number i + 1 stands in zone i mod n, at the place i / n of the pool's part of that zone.
    """
    zones, ranges = to_hcl(list(pool.ranges)), to_hcl([str(network) for network in pool.ranges.values()])
    address = f"cidrhost(element({ranges}, i), floor(i / {len(pool.ranges)}) + {FIRST_AGENT_OFFSET})"
    member = f'"{pool.name}-${{i + 1}}" => {{ zone = element({zones}, i), address = {address} }}'
    return Expr(f"{{ for i in range({pool.max}) : {member} }}")
