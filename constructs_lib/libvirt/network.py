"""The site's network: libvirt's own behind NAT on one host, or a bridge that all hosts have.

    nat     machines ── virbr-… .1 the host: router, DNS ── out by the host's address; in only from the host
    bridge  machines ── br0 ── your network, with its own router and resolvers

libvirt can't change a network that has guests, and a new one would cut them off: everything about it is said
on the first day, and a plain deploy leaves it alone. So its DNS knows every name that a planned node can ever
have, and adding one changes nothing here; agents have Consul's DNS.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.libvirt.settings import libvirt_of
from constructs_lib.plan.addresses import FIRST_NODE_OFFSET
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.names import prefix
from constructs_lib.terraform import Construct, Resource, TerraformElement, TerraformStack

MOST = {Role.GATEWAY: 1, Role.MASTER: 5, Role.CONSUL: 3, Role.EDGE: 10}
"""How many nodes of a role cluster.yaml can ask for."""


class Network(Construct):
    """The network that cluster.yaml says; `Network.existing` stands for another bridge.

    `source` is the source of a machine's network card, `road` what has to exist before a machine boots,
    `gateway` and `resolvers` are what a machine is told, `prefixlen` how much it reaches by itself.
    """

    source: Mapping[str, Any]
    road: tuple[TerraformElement, ...]
    gateway: IPv4Address
    resolvers: tuple[IPv4Address, ...]
    prefixlen: int

    def __init__(self, scope: Scope, id: str, *, plan: SitePlan) -> None:
        super().__init__(scope, id)
        self.prefixlen = plan.network.prefixlen
        bridge = libvirt_of(plan).bridge
        self.gateway = (bridge.gateway if bridge else None) or plan.network[1]
        self.resolvers = (bridge.dns if bridge else ()) or (self.gateway,)
        if bridge:
            self.source, self.road = {"bridge": {"bridge": bridge.name}}, ()
        else:
            made = self._nat(plan)
            self.source, self.road = {"network": {"network": made.ref("name")}}, (made,)

    @staticmethod
    def existing(
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        bridge: str,
        range: IPv4Network,
        gateway: IPv4Address | None = None,
        dns: tuple[IPv4Address, ...] = (),
    ) -> Network:
        """A bridge of the hosts, by its name *and* range: nothing is looked up.

        SpecError when the site's network does not lie inside `range`. `gateway` is the range's first address
        unless given, `dns` the gateway.
        """
        return _ExistingNetwork(scope, id, plan=plan, bridge=bridge, range=range, gateway=gateway, dns=dns)

    def _nat(self, plan: SitePlan) -> Resource:
        nat = libvirt_of(plan).nat
        forwarders = [{"addr": str(server)} for server in nat.dns] if nat else []
        return Resource(
            self,
            "Resource",
            "libvirt_network",
            name=prefix(plan),
            autostart=True,
            forward={"mode": "nat"},
            bridge={"name": _bridge_name(plan)},
            mtu={"size": plan.mtu},
            domain={"name": f"{prefix(plan)}.internal", "local_only": "yes"},
            ips=[{"address": str(self.gateway), "prefix": plan.network.prefixlen}],
            dns={
                "host": [{"ip": str(ip), "hostnames": [{"hostname": name}]} for name, ip in _names(plan)],
                **({"forwarders": forwarders} if forwarders else {}),
            },
            lifecycle={"ignore_changes": "all"},
        )


class _ExistingNetwork(Network):
    """Holds the bridge's name; makes no resource."""

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        bridge: str,
        range: IPv4Network,
        gateway: IPv4Address | None,
        dns: tuple[IPv4Address, ...],
    ) -> None:
        Construct.__init__(self, scope, id)
        TerraformStack.of(self)  # fails here and not later where `scope` is in no stack
        if not plan.network.subnet_of(range):
            raise SpecError(
                f"sites.{plan.name}.network",
                f"{bridge} with {range}",
                f"a bridge that holds {plan.network}, or a smaller network in cluster.yaml",
            )
        # The whole range: its router may lie outside of the site's part of it.
        self.gateway, self.prefixlen = gateway or range[1], range.prefixlen
        self.resolvers = dns or (self.gateway,)
        self.source, self.road = {"bridge": {"bridge": bridge}}, ()


def _bridge_name(plan: SitePlan) -> str:
    """A name that no other network of the host has, in the kernel's 15 characters."""
    return f"virbr-{hashlib.sha256(prefix(plan).encode()).hexdigest()[:8]}"


def _names(plan: SitePlan) -> Iterator[tuple[str, IPv4Address]]:
    """Every name that a planned node can have, and its address; a NAT network has one zone."""
    (zone,) = plan.zones
    for role, most in MOST.items():
        for number in range(1, most + 1):
            offset = FIRST_NODE_OFFSET + number
            if offset < zone.roles[role].num_addresses:
                yield f"{role}-{number}", zone.roles[role][offset]
