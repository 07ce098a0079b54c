"""One load balancer of Octavia before all edges, by its amphora provider: HTTP, visitors' addresses kept.

    visitors ── floating address ── balancer (an address of the frontend ranges) ── every edge's own address

It takes the ports that nginx declares for the public, asks nginx' own health check, and tells nginx who the
visitor is (X-Forwarded-For), since packets come from the balancer itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct as Scope

from constructs_lib.components.model import HttpOk, Peer, Port, Role
from constructs_lib.components.nginx import NGINX
from constructs_lib.errors import SpecError
from constructs_lib.openstack.network import Network
from constructs_lib.openstack.tags import neutron_tags
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.names import prefix
from constructs_lib.terraform import Expr, Resource

_PATIENCE_MS = 300_000
"""Octavia's own 50 seconds would cut whoever waits on a quiet connection."""


class Balancer:
    """Balancer, listeners, pools, health checks and members, made below `scope`."""

    def __init__(
        self,
        scope: Scope,
        plan: SitePlan,
        network: Network,
        ports: Mapping[str, Port],
        edges: Mapping[str, str],
    ) -> None:
        """`ports` by name are taken; `edges` are the addresses of all edge nodes by name."""
        if not network.own:
            raise SpecError(
                f"sites.{plan.name}.edge.load_balancer",
                "an existing network",
                "one that the site makes itself: edges answer a balancer in "
                f"{[str(zone.frontend) for zone in plan.zones]} alone, and in another network its DHCP "
                "chooses the balancer's address",
            )
        self._scope, self._plan = scope, plan
        self._balancer = Resource(
            scope,
            "balancer",
            "openstack_lb_loadbalancer_v2",
            name=f"{prefix(plan)}-edge",
            description=f"{plan.cluster} {plan.name}: edge",
            vip_subnet_id=network.subnet_id,
            admin_state_up=True,
            tags=neutron_tags(plan),
        )
        listener = self._listeners(ports)
        pool = self._pools(ports, listener)
        self._health(ports, pool)
        self._members(ports, pool, edges, network)

    @property
    def port_id(self) -> str:
        """The port that a floating address leads to, as an expression."""
        return self._balancer.ref("vip_port_id")

    @property
    def address(self) -> str:
        """Its address inside the site, as an expression."""
        return self._balancer.ref("vip_address")

    def _listeners(self, ports: Mapping[str, Port]) -> Resource:
        return Resource(
            self._scope,
            "listener",
            "openstack_lb_listener_v2",
            for_each={name: port.number for name, port in ports.items()},
            name=f"{prefix(self._plan)}-edge-${{each.key}}",
            loadbalancer_id=self._balancer.ref("id"),
            protocol="HTTP",
            protocol_port="${each.value}",
            insert_headers={"X-Forwarded-For": "true"},
            allowed_cidrs=_visitors(self._plan),
            timeout_client_data=_PATIENCE_MS,
            timeout_member_data=_PATIENCE_MS,
            tags=neutron_tags(self._plan),
        )

    def _pools(self, ports: Mapping[str, Port], listener: Resource) -> Resource:
        return Resource(
            self._scope,
            "pool",
            "openstack_lb_pool_v2",
            for_each={name: name for name in ports},
            name=f"{prefix(self._plan)}-edge-${{each.key}}",
            listener_id=Expr(f"{listener.address}[each.key].id"),
            protocol="HTTP",
            lb_method="LEAST_CONNECTIONS",
            tags=neutron_tags(self._plan),
        )

    def _health(self, ports: Mapping[str, Port], pool: Resource) -> None:
        check, _ = _health_check()
        Resource(
            self._scope,
            "health",
            "openstack_lb_monitor_v2",
            for_each={name: name for name in ports},
            name=f"{prefix(self._plan)}-edge-${{each.key}}",
            pool_id=Expr(f"{pool.address}[each.key].id"),
            type="HTTP",
            http_method="GET",
            url_path=check.path,
            expected_codes="200",
            delay=10,
            timeout=5,
            max_retries=3,
        )

    def _members(
        self, ports: Mapping[str, Port], pool: Resource, edges: Mapping[str, str], network: Network
    ) -> None:
        _, health = _health_check()
        Resource(
            self._scope,
            "member",
            "openstack_lb_member_v2",
            for_each={
                f"{edge}-{name}": {"address": address, "pool": name, "port": port.number}
                for edge, address in edges.items()
                for name, port in ports.items()
            },
            name="${each.key}",
            pool_id=Expr(f"{pool.address}[each.value.pool].id"),
            # An edge that is replaced keeps its address, so it stays a member.
            address="${each.value.address}",
            protocol_port="${each.value.port}",
            monitor_port=health.number,
            subnet_id=network.subnet_id,
        )


def _health_check() -> tuple[HttpOk, Port]:
    """nginx' check that is meant for balancers, and the port that it is on."""
    for check in NGINX.health:
        if isinstance(check, HttpOk) and Peer.FRONTEND in NGINX.port(check.port).reached_by:
            return check, NGINX.port(check.port)
    raise AssertionError("nginx declares no health check for a load balancer")


def _visitors(plan: SitePlan) -> list[str]:
    """Whom the balancer lets in: everyone who may reach an edge, and the site itself.

    In the order in which Octavia gives them back, or every plan would put them into ours again.
    """
    frontends = {zone.frontend for zone in plan.zones}
    named = {port.name for port in NGINX.ports if Peer.PUBLIC in port.reached_by}
    allowed = {
        network
        for rule in plan.traffic_to(Role.EDGE)
        if rule.component == NGINX.name and rule.port_name in named
        for network in rule.networks
        if network not in frontends
    }
    return sorted({str(network) for network in (*allowed, plan.network)})
