"""The edge: nginx machines behind a network load balancer."""

from __future__ import annotations

from constructs import Construct as Scope

from constructs_lib.aws.firewall import Firewall
from constructs_lib.aws.iam import NodeAccess
from constructs_lib.aws.machines import Machines, Surroundings
from constructs_lib.aws.network import Network
from constructs_lib.aws.tags import tags
from constructs_lib.components.model import Component, HttpOk, Peer, Port, Role
from constructs_lib.components.nginx import NGINX
from constructs_lib.errors import SpecError
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.names import short_name
from constructs_lib.sites.user_data import Late
from constructs_lib.terraform import Construct, Expr, Resource
from constructs_lib.terraform.policy import accept

_LONGEST_NAME = 32


class Edge(Construct):
    """Where applications' visitors come in. Internal unless `edge.public`; visitors' own addresses reach
    nginx.

    The load balancer takes each port that nginx declares for the public, and asks nginx' own health check.
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
        if plan.edge_spec is None:
            raise SpecError(f"sites.{plan.name}.edge", None, "an edge, such as {count: 1}")
        self._plan = plan
        self.ports = {port.name: port for port in NGINX.ports if Peer.PUBLIC in port.reached_by}
        around = Surroundings.of(self, plan, Role.EDGE, network, firewall, access, image)
        self.machines = Machines(self, plan, Role.EDGE, plan.edge_spec, around, late or {})
        self.balancer = self._balancer(network, internal=not plan.edge_spec.public)
        self._listen(network)

    @property
    def endpoints(self) -> dict[str, str]:
        """`http://<load balancer>` and the like, by nginx' name of the port, as expressions."""
        name = self.balancer.ref("dns_name")
        return {port.name: f"{port.name}://{name}:{port.number}" for port in self.ports.values()}

    def _balancer(self, network: Network, *, internal: bool) -> Resource:
        plan = self._plan
        frontends = [network.subnets[zone.name].frontend for zone in plan.zones]
        if not all(frontends):
            raise SpecError(
                f"sites.{plan.name}.edge",
                "an existing network without frontend subnets",
                f"one in each zone, inside {[str(zone.frontend) for zone in plan.zones]}",
            )
        balancer = Resource(
            self,
            "balancer",
            "aws_lb",
            name=short_name(plan, "edge", limit=_LONGEST_NAME),
            load_balancer_type="network",
            internal=internal,
            subnets=[subnet.id for subnet in frontends if subnet],
            # Edges may be fewer than zones.
            enable_cross_zone_load_balancing=True,
            # Visitors' DNS names point to this one's, which no other could take over.
            enable_deletion_protection=plan.protect_data,
            tags=tags(plan, "edge", Role.EDGE),
        )
        accept(
            balancer,
            "CKV_AWS_91",
            "a network load balancer logs TLS listeners only; nginx logs every request",
        )
        accept(
            balancer,
            "CKV2_AWS_20",
            "a network load balancer only passes TCP on; sending HTTP to HTTPS is for nginx behind it",
        )
        if not plan.protect_data:
            accept(balancer, "CKV_AWS_150", "protect_data: false says that this cluster may be destroyed")
        return balancer

    def _listen(self, network: Network) -> None:
        plan = self._plan
        ports = {name: port.number for name, port in self.ports.items()}
        group = Resource(
            self,
            "targets",
            "aws_lb_target_group",
            for_each={
                name: {"port": number, "name": short_name(plan, f"edge-{name}", limit=_LONGEST_NAME)}
                for name, number in ports.items()
            },
            name="${each.value.name}",
            vpc_id=network.vpc_id,
            target_type="instance",
            port="${each.value.port}",
            protocol="TCP",
            deregistration_delay=30,
            health_check=_health_check(NGINX),
            tags=tags(plan, "edge-${each.key}", Role.EDGE),
        )
        Resource(
            self,
            "listener",
            "aws_lb_listener",
            for_each=ports,
            load_balancer_arn=self.balancer.ref("arn"),
            port="${each.value}",
            protocol="TCP",
            default_action={"type": "forward", "target_group_arn": Expr(f"{group.address}[each.key].arn")},
        )
        Resource(
            self,
            "membership",
            "aws_lb_target_group_attachment",
            for_each={
                f"{node.name}-{port}": {"node": self.machines.instance_id(node), "port": port}
                for node in self.machines.nodes
                for port in ports
            },
            target_group_arn=Expr(f"{group.address}[each.value.port].arn"),
            target_id="${each.value.node}",
        )


def _health_check(component: Component) -> dict[str, object]:
    """The component's own HTTP check, as the load balancer asks it."""
    check = next(check for check in component.health if isinstance(check, HttpOk))
    port: Port = component.port(check.port)
    return {
        "protocol": "HTTP",
        "port": str(port.number),
        "path": check.path,
        "interval": 10,
        # A network load balancer takes only equal thresholds.
        "healthy_threshold": 3,
        "unhealthy_threshold": 3,
    }
