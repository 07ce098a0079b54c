"""The edge: nginx machines, each with a floating address where it is public, or a balancer before all."""

from __future__ import annotations

from constructs import Construct as Scope

from constructs_lib.components.model import Peer, Role
from constructs_lib.components.nginx import NGINX
from constructs_lib.errors import SpecError
from constructs_lib.openstack.balancer import Balancer
from constructs_lib.openstack.firewall import Firewall
from constructs_lib.openstack.floating_ip import floating_ips
from constructs_lib.openstack.machines import Machines, Surroundings
from constructs_lib.openstack.network import Network
from constructs_lib.openstack.secrets import Secrets
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.user_data import Late
from constructs_lib.terraform import Construct


class Edge(Construct):
    """Where applications' visitors come in. Without `edge.public` only from inside the site.

    Without `edge.load_balancer` names in DNS point to the addresses of all machines; with it to one, which
    was the first machine's where there was none before.
    """

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
        if plan.edge_spec is None:
            raise SpecError(f"sites.{plan.name}.edge", None, "an edge, such as {count: 1}")
        self.ports = {port.name: port for port in NGINX.ports if Peer.PUBLIC in port.reached_by}
        around = Surroundings.of(self, plan, Role.EDGE, network, firewall, secrets, image)
        self.machines = Machines(self, plan, Role.EDGE, plan.edge_spec, around)
        self.addresses: dict[str, str] = {node.name: str(node.address) for node in self.machines.nodes}
        """Node name → where visitors reach it; behind a balancer the first one's name stands for all."""
        ports = {node.name: self.machines.port_id(node) for node in self.machines.nodes}
        if plan.edge_spec.load_balancer:
            balancer = Balancer(self, plan, network, self.ports, self.addresses)
            first = self.machines.nodes[0].name
            self.addresses, ports = {first: balancer.address}, {first: balancer.port_id}
        if plan.edge_spec.public:
            made = floating_ips(self, "address", plan, network, ports)
            self.addresses = {name: made.each(name, "address") for name in ports}
        self.machines.boot(late or {})

    @property
    def endpoints(self) -> dict[str, str]:
        """`http://<address of the first>` and the like, by nginx' name of the port."""
        first = next(iter(self.addresses.values()))
        return {port.name: f"{port.name}://{first}:{port.number}" for port in self.ports.values()}
