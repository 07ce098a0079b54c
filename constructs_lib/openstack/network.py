"""The site's network: one subnet over all zones, cut as the plan says, behind a router to the outside.

    network 10.20.0.0/16 ── router ── external network
      .1        the router
      frontend  where neutron itself chooses addresses: DHCP, load balancers
      the rest  planned, each machine on a port with its own fixed address

Zones are no networks of their own on OpenStack; every role still has its range in each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from ipaddress import IPv4Network
from typing import Any, ClassVar

from constructs import Construct as Scope

from constructs_lib.errors import SpecError
from constructs_lib.openstack.settings import is_id, openstack_of
from constructs_lib.openstack.tags import neutron_tags
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.names import prefix
from constructs_lib.terraform import (
    Construct,
    DataSource,
    Expr,
    Resource,
    TerraformElement,
    TerraformStack,
)

LEAST_MTU = 1280
"""Bytes that a network has to take where cluster.yaml says no MTU: what IPv6 demands of every link, so less
is a mistake of the cloud's, or a 0 of one that tells none.
"""


class Network(Construct):
    """A new network with subnet and router; `Network.existing` stands for one that is there already.

    `network_id` and `subnet_id` are what the other constructs need, and `road`, what has to exist before a
    machine finds its way out.
    """

    own: ClassVar[bool] = True
    """Whether the site made it, so that its DHCP keeps to the frontend ranges."""
    network_id: str
    subnet_id: str
    road: tuple[TerraformElement, ...]
    router_id: str | None
    """The router's id, as an expression; None where it is not known."""
    mtu: Expr
    """Neutron's own number for the network."""

    def __init__(self, scope: Scope, id: str, *, plan: SitePlan) -> None:
        super().__init__(scope, id)
        self._plan = plan
        network = Resource(
            self,
            "Resource",
            "openstack_networking_network_v2",
            name=prefix(plan),
            admin_state_up=True,
            mtu=plan.mtu if plan.mtu_given else None,
            tags=neutron_tags(plan),
            lifecycle={"postcondition": [_wide_enough(plan)]},
        )
        self.mtu = Expr(f"{network.address}.mtu")
        self.network_id = network.ref("id")
        self.subnet_id = self._subnet(plan).ref("id")
        self.road = self._router(plan)

    @staticmethod
    def existing(
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        network_id: str,
        subnet_id: str,
        range: IPv4Network,
        router_id: str | None = None,
        road: Sequence[TerraformElement] = (),
    ) -> Network:
        """A network that something else made: ids *and* range are given, its MTU alone is looked up.

        `router_id` is needed where the cluster has other sites: that router gets the routes to them.
        SpecError when it is missing, or the site's network does not lie inside the subnet's `range`. Its DHCP
        must not give away the plan's addresses: an allocation pool apart from them. `road` is what leads
        outside where the same stack makes it: the router's interface, which floating addresses need first.
        """
        return _ExistingNetwork(
            scope,
            id,
            plan=plan,
            network_id=network_id,
            subnet_id=subnet_id,
            range=range,
            router_id=router_id,
            road=road,
        )

    @property
    def late_values(self) -> dict[str, Expr]:
        """What the plan wants to know of the network, by the late value's name."""
        late = self._plan.late_mtu
        return {late.name: Expr(f"tostring({self.mtu.code})")} if late else {}

    @cached_property
    def pool(self) -> str:
        """The name of the network that floating addresses come from, as an expression."""
        return self._external.ref("name")

    @cached_property
    def _external(self) -> DataSource:
        word = openstack_of(self._plan).external_network
        search: dict[str, Any] = {"network_id": word} if is_id(word) else {"name": word}
        return DataSource(self, "external", "openstack_networking_network_v2", external=True, **search)

    def _subnet(self, plan: SitePlan) -> Resource:
        return Resource(
            self,
            "subnet",
            "openstack_networking_subnet_v2",
            name=prefix(plan),
            network_id=self.network_id,
            cidr=str(plan.network),
            ip_version=4,
            gateway_ip=str(plan.network[1]),
            enable_dhcp=True,
            allocation_pool=[
                {"start": str(zone.frontend[1]), "end": str(zone.frontend[-2])} for zone in plan.zones
            ],
            dns_nameservers=[str(server) for server in openstack_of(plan).dns] or None,
            tags=neutron_tags(plan),
        )

    def _router(self, plan: SitePlan) -> tuple[TerraformElement, ...]:
        router = Resource(
            self,
            "router",
            "openstack_networking_router_v2",
            name=prefix(plan),
            admin_state_up=True,
            external_network_id=self._external.ref("id"),
            tags=neutron_tags(plan),
        )
        self.router_id = router.ref("id")
        interface = Resource(
            self,
            "interface",
            "openstack_networking_router_interface_v2",
            router_id=router.ref("id"),
            subnet_id=self.subnet_id,
        )
        return (interface,)


class _ExistingNetwork(Network):
    """Holds the ids; makes no resource, and asks for the network's MTU."""

    own = False

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        network_id: str,
        subnet_id: str,
        range: IPv4Network,
        router_id: str | None,
        road: Sequence[TerraformElement],
    ) -> None:
        Construct.__init__(self, scope, id)
        TerraformStack.of(self)  # fails here and not later where `scope` is in no stack
        if not plan.network.subnet_of(range):
            raise SpecError(
                f"sites.{plan.name}.network",
                f"{subnet_id} with {range}",
                f"a subnet that holds {plan.network}, or a smaller network in cluster.yaml",
            )
        if plan.link and router_id is None:
            raise SpecError(
                f"Network.existing(…, router_id=…) of site {plan.name}",
                None,
                "the id of the subnet's router: it gets the routes to the other sites of cluster.yaml",
            )
        self._plan = plan
        self.router_id = router_id
        self.network_id = network_id
        self.subnet_id = subnet_id
        self.road = tuple(road)
        found = DataSource(
            self,
            "network",
            "openstack_networking_network_v2",
            network_id=network_id,
            lifecycle={"postcondition": [_wide_enough(plan)]},
        )
        # Until a network of the same stack is made, the plugin calls its MTU null here, and not unknown.
        self.mtu = Expr(f'{found.address}.id == "" ? 0 : {found.address}.mtu')


def _wide_enough(plan: SitePlan) -> dict[str, str]:
    """A bound that the network is held to before any machine is made: what links and containers count on, or
    where containers take the network's own number, the least that can be meant.
    """
    known = "${coalesce(self.mtu, 0)}"
    least, fix = plan.mtu, f"set sites.{plan.name}.mtu to {known} in cluster.yaml and synthesize again."
    wanted = f"containers would send {least}: {fix}"
    if plan.late_mtu:
        least, fix = LEAST_MTU, f"say what passes as sites.{plan.name}.mtu in cluster.yaml."
        wanted = f"nodes need {least}: give it more, or {fix}"
    return {
        # No id: a network of the same stack is still to be made.
        "condition": f'${{self.id == "" ? true : coalesce(self.mtu, 0) >= {least}}}',
        "error_message": f"The network takes packets of {known} bytes at most, and {wanted}",
    }
