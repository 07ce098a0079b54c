"""One security group per role; every rule is a line of the plan's traffic table, in both directions.

Neutron refuses a rule that is there already, under whatever name. So a rule's key is what the rule says: two
lines that say the same are one rule, and no change of names makes a new rule beside the old one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from constructs import Construct as Scope

from constructs_lib.components.model import Protocol, Role
from constructs_lib.errors import SpecError
from constructs_lib.openstack.settings import openstack_of
from constructs_lib.openstack.tags import neutron_tags
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.traffic import ANYWHERE
from constructs_lib.sites.names import prefix
from constructs_lib.sites.openings import (
    Opening,
    from_networks,
    from_nodes,
    into_gateway,
    out_of_gateway,
    to_networks,
    to_nodes,
)
from constructs_lib.terraform import Construct, Resource, TerraformElement, literal
from constructs_lib.terraform.local_value import local_value
from constructs_lib.terraform.naming import place_of

DNS_PORT = 53
_DNS_PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp")
_LONGEST = 255
"""Characters of a rule's description."""


class Firewall(Construct):
    """The groups of `roles` (by default every role that the plan has machines for) and their rules.

    Machines of the same site are let in by reference to their group, everyone else by range. A role that is
    not among `roles`, because something else made its machines, counts as everyone else. The rules that
    neutron itself puts into a new group, everything outwards, are deleted.
    """

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        roles: Sequence[Role] | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.roles = tuple(roles) if roles is not None else plan.roles
        self._group = Resource(
            self,
            "Resource",
            "openstack_networking_secgroup_v2",
            for_each={role.value: f"{plan.cluster} {plan.name}: {role} nodes" for role in self.roles},
            name=f"{prefix(plan)}-${{each.key}}",
            description="${each.value}",
            delete_default_rules=True,
            tags=neutron_tags(plan),
        )
        self.rule_count = 0
        # With other sites the gateway's port speaks for their networks too, and neutron counts these as its
        # group. By range from the start, so that a second site later replaces no rule.
        self._by_name = [role for role in self.roles if role is not Role.GATEWAY]
        self._gateways = tuple(zone.roles[Role.GATEWAY] for zone in plan.zones)
        inward = [
            *from_nodes(plan, self.roles),
            *from_networks(plan, self.roles),
            *into_gateway(plan, self.roles),
        ]
        outward = [
            *to_nodes(plan, self.roles),
            *to_networks(plan, self.roles),
            *out_of_gateway(plan, self.roles),
            *self._to_resolvers(plan),
        ]
        self.rules: tuple[TerraformElement, ...] = (
            *self._rules("ingress", inward),
            *self._rules("egress", outward),
            *self._too_large(plan),
        )

    def group_id(self, role: Role) -> str:
        """The id of the role's group, as an expression; SpecError when this firewall does not have it."""
        if role not in self.roles:
            raise SpecError("firewall.role", role.value, f"one of {[known.value for known in self.roles]}")
        return self._group.each(role.value, "id")

    def _to_resolvers(self, plan: SitePlan) -> Iterator[Opening]:
        """DNS passes the groups here, and only cluster.yaml says which resolvers neutron hands out."""
        servers = tuple(IPv4Network(address) for address in openstack_of(plan).dns) or ANYWHERE
        for role in self.roles:
            for protocol in _DNS_PROTOCOLS:
                yield Opening(
                    role=role,
                    name=f"dns-{protocol}",
                    port=DNS_PORT,
                    last=DNS_PORT,
                    protocol=protocol,
                    why="the network's resolvers",
                    networks=servers,
                )

    def _rules(self, direction: str, openings: Iterable[Opening]) -> tuple[TerraformElement, ...]:
        by_group: dict[str, Mapping[str, Any]] = {}
        by_range: dict[str, Mapping[str, Any]] = {}
        for opening in openings:
            if opening.peer in self._by_name:
                made = self._rule(opening) | {"peer": self.group_id(opening.peer)}
                by_group.setdefault(_key(opening, opening.peer.value), made)
                continue
            for network in self._gateways if opening.peer else opening.networks:
                # Canonical, as IPv4Network writes it: neutron stores it so, and would differ for ever.
                by_range.setdefault(_key(opening, str(network)), self._rule(opening) | {"peer": str(network)})
        return (
            *self._made(f"{direction}-by-group", direction, by_group, "remote_group_id"),
            *self._made(f"{direction}-by-range", direction, by_range, "remote_ip_prefix"),
        )

    def _too_large(self, plan: SitePlan) -> Iterator[TerraformElement]:
        """The gateway's word that a packet was too large for a tunnel."""
        rules = {
            f"{role}/{direction}": {"group": self.group_id(role), "direction": direction}
            for role in self.roles
            for direction in ("ingress", "egress")
        }
        if plan.link is None:
            return
        self.rule_count += len(rules)
        yield Resource(
            self,
            "too-large",
            "openstack_networking_secgroup_rule_v2",
            for_each=rules,
            security_group_id="${each.value.group}",
            direction="${each.value.direction}",
            ethertype="IPv4",
            protocol="icmp",
            # For ICMP these are type and code: destination unreachable, fragmentation needed.
            port_range_min=3,
            port_range_max=4,
            remote_ip_prefix=str(plan.network),
            description="path MTU",
            lifecycle={"ignore_changes": ["description"]},
        )

    def _rule(self, opening: Opening) -> dict[str, Any]:
        return {
            "group": self.group_id(opening.role),
            "port": opening.port,
            "last": opening.last,
            "protocol": opening.protocol,
            "why": literal(opening.why[:_LONGEST]),
        }

    def _made(
        self, id: str, direction: str, rules: Mapping[str, Mapping[str, Any]], peer: str
    ) -> Iterator[TerraformElement]:
        if not rules:
            return
        self.rule_count += len(rules)
        given: dict[str, Any] = {peer: "${each.value.peer}"}
        yield Resource(
            self,
            id,
            "openstack_networking_secgroup_rule_v2",
            for_each=local_value(place_of(self).child(id), "rules", rules),
            security_group_id="${each.value.group}",
            direction=direction,
            ethertype="IPv4",
            protocol="${each.value.protocol}",
            port_range_min="${each.value.port}",
            port_range_max="${each.value.last}",
            description="${each.value.why}",
            # Other words would close the port for a moment: every change of a rule is another rule.
            lifecycle={"ignore_changes": ["description"]},
            **given,
        )


def _key(opening: Opening, peer: str) -> str:
    """`master/tcp/2181/agent`: everything that neutron compares, but the direction."""
    ports = str(opening.port) if opening.last == opening.port else f"{opening.port}-{opening.last}"
    return f"{opening.role}/{opening.protocol}/{ports}/{peer}"
