"""The gateway: the one machine that operators reach from outside."""

from __future__ import annotations

from constructs import Construct as Scope

from constructs_lib.aws.elastic_ip import elastic_ips
from constructs_lib.aws.firewall import Firewall
from constructs_lib.aws.iam import NodeAccess
from constructs_lib.aws.machines import Machines, Surroundings
from constructs_lib.aws.network import Network
from constructs_lib.components.model import Role
from constructs_lib.plan.model import SiteLink, SitePlan
from constructs_lib.sites.user_data import Late
from constructs_lib.terraform import Construct, Expr, Resource


class Gateway(Construct):
    """SSH jump host in the public subnet with an elastic IP, so that its public address outlives the machine.

    Its host key is a secret that it fetches as every node does. The address is associated a few seconds after
    the machine runs; until then its first boot asks again, as it does for everything that comes from
    elsewhere.
    """

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        network: Network,
        firewall: Firewall | None = None,
        access: NodeAccess | None = None,
        image: str | None = None,
        late: Late | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._first = plan.nodes_of(Role.GATEWAY)[0]
        self._address = elastic_ips(
            self,
            "address",
            plan,
            {node.name: str(node.address) for node in plan.nodes_of(Role.GATEWAY)},
            name="${each.key}",
            role=Role.GATEWAY,
        )
        self.late_values: dict[str, Expr] = {
            f"gateway_public_address:{plan.name}": Expr(
                f'{self._address.address}["{self._first.name}"].public_ip'
            )
        }
        around = Surroundings.of(self, plan, Role.GATEWAY, network, firewall, access, image)
        self.machines = Machines(
            self, plan, Role.GATEWAY, plan.gateway_spec, around, {**self.late_values, **(late or {})}
        )
        Resource(
            self,
            "association",
            "aws_eip_association",
            for_each={node.name: self.machines.instance_id(node) for node in self.machines.nodes},
            allocation_id=Expr(f"{self._address.address}[each.key].id"),
            instance_id="${each.value}",
        )

        if plan.link:
            self._lead_to(plan.link, network)

    def _lead_to(self, link: SiteLink, network: Network) -> None:
        """Routes to other sites, through this machine."""
        address = self.machines.instance.address
        Resource(
            self,
            "site-routes",
            "aws_route",
            # Named after the machine, whose replacement changes them.
            for_each={
                f"{self._first.name}-{site.name}-{zone}": {"table": table, "network": str(site.network)}
                for site in link.sites
                for zone, table in network.route_tables.items()
            },
            route_table_id="${each.value.table}",
            destination_cidr_block="${each.value.network}",
            network_interface_id=Expr(f'{address}["{self._first.name}"].primary_network_interface_id'),
        )

    @property
    def public_address(self) -> str:
        """Where operators log in, as an expression."""
        return self._address.each(self._first.name, "public_ip")
