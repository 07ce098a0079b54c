"""The plan's traffic table as the openings of each role's firewall, both ends of every line.

A platform's firewall is a loop over these. Machines of the same firewall are named by their role, so that a
platform can refer to their group; everyone else by range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from constructs_lib.components.model import Protocol, Role
from constructs_lib.plan.model import EgressRule, Passage, SitePlan, TrafficRule


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One opening of the firewall of `role`: `port` to `last`, to or from `peer`, else `networks`."""

    role: Role
    name: str
    """Unique among the openings that one of the functions below gives for `role`."""
    port: int
    last: int
    protocol: Protocol
    why: str
    peer: Role | None = None
    networks: tuple[IPv4Network, ...] = ()

    @property
    def key(self) -> str:
        """`master/zookeeper-client-from-agent`."""
        return f"{self.role}/{self.name}"


def from_nodes(plan: SitePlan, roles: Sequence[Role]) -> Iterator[Opening]:
    """Inwards, from nodes whose role is one of `roles` as well."""
    for rule in plan.traffic:
        if rule.to in roles and isinstance(rule.source, Role) and _own(plan, rule, roles):
            yield _opening(rule.to, rule.name, rule, peer=rule.source)


def to_nodes(plan: SitePlan, roles: Sequence[Role]) -> Iterator[Opening]:
    """Outwards, to nodes whose role is one of `roles` as well."""
    for rule in plan.traffic:
        if rule.to in roles and isinstance(rule.source, Role) and _own(plan, rule, roles):
            yield _opening(rule.source, _outward(rule), rule, peer=rule.to)


def from_networks(plan: SitePlan, roles: Sequence[Role]) -> Iterator[Opening]:
    """Inwards, from everyone else; one for each range of another site: a new site or zone there only adds."""
    others = [other.network for other in plan.link.sites] if plan.link else []
    for rule in plan.traffic:
        networks = _foreign(plan, rule, roles) if rule.to in roles else ()
        there = [network for network in networks if any(map(network.subnet_of, others))]
        near = tuple(network for network in networks if network not in there)
        if near:
            yield _opening(rule.to, rule.name, rule, networks=near)
        for network in there:
            yield _opening(rule.to, f"{rule.name}-in-{network}", rule, networks=(network,))


def to_networks(plan: SitePlan, roles: Sequence[Role]) -> Iterator[Opening]:
    """Outwards, to nodes that something else made, to other sites, and to what is outside the cluster."""
    for rule in plan.traffic:
        if isinstance(rule.source, Role) and rule.source in roles and rule.to not in roles:
            yield _opening(rule.source, _outward(rule), rule, networks=_where(plan, rule.to))
    for passage in _leaving(plan):
        if passage.source in roles:
            name = f"{_outward(passage.rule)}-in-{passage.to_site}"
            yield _opening(passage.source, name, passage.rule, networks=passage.destinations)
    for role in roles:
        for egress in plan.egress:
            if role in egress.roles:
                yield _opening(role, egress.name, egress, networks=egress.networks)


def into_gateway(plan: SitePlan, roles: Sequence[Role]) -> Iterator[Opening]:
    """What the site's own nodes send through their gateway to other sites, where that is not open anyway.

    A platform that looks at each machine's own packets sees these at the gateway too; what comes and goes
    through the tunnels it sees as one stream.
    """
    if Role.GATEWAY not in roles:
        return
    seen = {_what(opening) for opening in from_nodes(plan, roles) if opening.role is Role.GATEWAY}
    for passage in _leaving(plan):
        rule, source = passage.rule, passage.source
        name = f"{_outward(rule)}-elsewhere-from-{source}"
        peer = source if source in roles else None
        opening = _opening(Role.GATEWAY, name, rule, peer=peer, networks=() if peer else passage.sources)
        if _what(opening) not in seen:
            seen.add(_what(opening))
            yield opening


def out_of_gateway(plan: SitePlan, roles: Sequence[Role]) -> Iterator[Opening]:
    """What nodes of other sites send through the gateway to the site's own, where that is not open anyway."""
    if Role.GATEWAY not in roles:
        return
    seen = {_what(opening) for opening in to_nodes(plan, roles) if opening.role is Role.GATEWAY}
    for passage in plan.link.passages if plan.link else ():
        rule = passage.rule
        peer = rule.to if rule.to in roles else None
        opening = _opening(
            Role.GATEWAY,
            f"{rule.name}-to-{rule.to}",
            rule,
            peer=peer,
            networks=() if peer else passage.destinations,
        )
        if passage.to_site == plan.name and _what(opening) not in seen:
            seen.add(_what(opening))
            yield opening


def _what(opening: Opening) -> tuple[object, ...]:
    """What a cloud compares: it takes no rule twice, whatever its name."""
    return (opening.port, opening.last, opening.protocol, opening.peer, opening.networks)


def _leaving(plan: SitePlan) -> Iterator[Passage]:
    for passage in plan.link.passages if plan.link else ():
        if passage.source_site == plan.name:
            yield passage


def _opening(
    role: Role,
    name: str,
    rule: TrafficRule | EgressRule,
    *,
    peer: Role | None = None,
    networks: tuple[IPv4Network, ...] = (),
) -> Opening:
    why = f"{rule.component} {rule.port_name}: {rule.why}" if isinstance(rule, TrafficRule) else rule.why
    return Opening(
        role=role,
        name=name,
        port=rule.port,
        last=rule.last,
        protocol=rule.protocol,
        why=why,
        peer=peer,
        networks=networks,
    )


def _own(plan: SitePlan, rule: TrafficRule, roles: Sequence[Role]) -> bool:
    """Whether machines of the site's own are among the sources, and one of `roles` stands for them."""
    if not isinstance(rule.source, Role) or rule.source not in roles:
        return False
    return any(zone.roles[rule.source] in rule.networks for zone in plan.zones)


def _foreign(plan: SitePlan, rule: TrafficRule, roles: Sequence[Role]) -> tuple[IPv4Network, ...]:
    """The rule's ranges that no role among `roles` stands for."""
    if not isinstance(rule.source, Role) or rule.source not in roles:
        return rule.networks
    here = {zone.roles[rule.source] for zone in plan.zones}
    return tuple(network for network in rule.networks if network not in here)


def _outward(rule: TrafficRule) -> str:
    return f"{rule.component}-{rule.port_name}-to-{rule.to}"


def _where(plan: SitePlan, role: Role) -> tuple[IPv4Network, ...]:
    """Where the machines of a role are that something else made."""
    if role is Role.MASTER and plan.masters:
        return tuple(IPv4Network(address) for address in plan.masters)
    if role is Role.CONSUL and plan.consul:
        return tuple(IPv4Network(address) for address in plan.consul)
    return tuple(zone.roles[role] for zone in plan.zones)
