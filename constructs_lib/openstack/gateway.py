"""The gateway: the one machine that operators reach from outside."""

from __future__ import annotations

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.openstack.firewall import Firewall
from constructs_lib.openstack.floating_ip import floating_ips
from constructs_lib.openstack.machines import Machines, Surroundings
from constructs_lib.openstack.network import Network
from constructs_lib.openstack.secrets import Secrets
from constructs_lib.plan.model import SiteLink, SitePlan
from constructs_lib.sites.user_data import Late
from constructs_lib.terraform import Construct, Expr, Resource


class Gateway(Construct):
    """SSH jump host with a floating address, which leads to its port and so outlives the machine."""

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        network: Network,
        firewall: Firewall | None = None,
        secrets: Secrets | None = None,
        image: str | None = None,
        late: Late | None = None,
    ) -> None:
        super().__init__(scope, id)
        around = Surroundings.of(self, plan, Role.GATEWAY, network, firewall, secrets, image)
        self.machines = Machines(self, plan, Role.GATEWAY, plan.gateway_spec, around)
        self._first = self.machines.nodes[0]
        ports = {node.name: self.machines.port_id(node) for node in self.machines.nodes}
        self._address = floating_ips(self, "address", plan, network, ports)
        self.late_values: dict[str, Expr] = {
            f"gateway_public_address:{plan.name}": Expr(
                f'{self._address.address}["{self._first.name}"].address'
            )
        }
        self.machines.boot({**self.late_values, **(late or {})})
        if plan.link:
            self._lead_to(plan.link, network)

    def _lead_to(self, link: SiteLink, network: Network) -> None:
        """Routes to other sites, through this machine's port, which outlives it."""
        Resource(
            self,
            "site-routes",
            "openstack_networking_router_route_v2",
            for_each={site.name: str(site.network) for site in link.sites},
            router_id=network.router_id,
            destination_cidr="${each.value}",
            next_hop=str(self._first.address),
            # A router takes a next hop only inside of a subnet that it has an interface in.
            depends_on=network.road,
        )

    @property
    def public_address(self) -> str:
        """Where operators log in, as an expression."""
        return self._address.each(self._first.name, "address")
