"""The plan's traffic table as rules of neutron's security groups: what is made, and how many that are.

Neutron refuses a rule that is there already, under whatever name. So a rule's key is what the rule says: two
lines that say the same are one rule, and no change of names makes a new rule beside the old one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal

from constructs_lib.components.model import Protocol, Role
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.traffic import ANYWHERE
from constructs_lib.sites.openings import (
    Opening,
    from_networks,
    from_nodes,
    into_gateway,
    out_of_gateway,
    to_networks,
    to_nodes,
)

DNS_PORT = 53
_DNS_PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp")
Direction = Literal["ingress", "egress"]
DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")


@dataclass(frozen=True, kw_only=True)
class NeutronRule:
    """One rule: what `opening` opens, towards the group of a role or towards one range."""

    opening: Opening
    peer: Role | IPv4Network

    @property
    def key(self) -> str:
        """`master/tcp/2181/agent`: everything that neutron compares, but the direction."""
        opening = self.opening
        first, last = opening.port, opening.last
        ports = str(first) if first == last else f"{first}-{last}"
        return f"{opening.role}/{opening.protocol}/{ports}/{self.peer}"


def neutron_rules(
    plan: SitePlan, roles: Sequence[Role], direction: Direction
) -> tuple[dict[str, NeutronRule], dict[str, NeutronRule]]:
    """The rules of the groups of `roles` in one direction by key: towards groups, and towards ranges."""
    # With other sites the gateway's port speaks for their networks too, and neutron counts these as its
    # group. By range from the start, so that a second site later replaces no rule.
    by_name = [role for role in roles if role is not Role.GATEWAY]
    gateways = tuple(zone.roles[Role.GATEWAY] for zone in plan.zones)
    by_group: dict[str, NeutronRule] = {}
    by_range: dict[str, NeutronRule] = {}
    for opening in _openings(plan, roles, direction):
        if opening.peer in by_name:
            rule = NeutronRule(opening=opening, peer=opening.peer)
            by_group.setdefault(rule.key, rule)
            continue
        for network in gateways if opening.peer else opening.networks:
            rule = NeutronRule(opening=opening, peer=network)
            by_range.setdefault(rule.key, rule)
    return by_group, by_range


def too_large_rules(plan: SitePlan, roles: Sequence[Role]) -> dict[str, tuple[Role, Direction]]:
    """By key, the rules for the gateway's word that a packet was too large for a tunnel."""
    if plan.link is None:
        return {}
    return {f"{role}/{direction}": (role, direction) for role in roles for direction in DIRECTIONS}


def rule_count(plan: SitePlan, roles: Sequence[Role]) -> int:
    """How many rules the groups of `roles` have together."""
    made = (part for direction in DIRECTIONS for part in neutron_rules(plan, roles, direction))
    return sum(map(len, made)) + len(too_large_rules(plan, roles))


def _openings(plan: SitePlan, roles: Sequence[Role], direction: Direction) -> Iterator[Opening]:
    if direction == "ingress":
        yield from from_nodes(plan, roles)
        yield from from_networks(plan, roles)
        yield from into_gateway(plan, roles)
        return
    yield from to_nodes(plan, roles)
    yield from to_networks(plan, roles)
    yield from out_of_gateway(plan, roles)
    yield from _to_resolvers(plan, roles)


def _to_resolvers(plan: SitePlan, roles: Sequence[Role]) -> Iterator[Opening]:
    """DNS passes the groups here, and only cluster.yaml says which resolvers neutron hands out."""
    named = plan.openstack.dns if plan.openstack else ()
    servers = tuple(IPv4Network(address) for address in named) or ANYWHERE
    for role in roles:
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
