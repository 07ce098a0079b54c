"""The traffic table: who may reach whom, on which named port, and why. Every firewall is a loop over it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network

from constructs_lib.components.model import Component, Peer, Port, Protocol, Role
from constructs_lib.plan.model import EgressRule, TrafficRule, ZonePlan
from constructs_lib.spec.model import SharedSpec, SiteSpec, SoftwareSpec

ANYWHERE = (IPv4Network("0.0.0.0/0"),)

EGRESS: tuple[EgressRule, ...] = (
    EgressRule(name="https", port=443, protocol="tcp", networks=ANYWHERE, why="packages, images, cloud APIs"),
    EgressRule(name="http", port=80, protocol="tcp", networks=ANYWHERE, why="signed package mirrors"),
    EgressRule(name="ntp", port=123, protocol="udp", networks=ANYWHERE, why="time, before any consensus"),
)
"""What nodes reach outside the site; DNS and metadata are the platform's own and pass no firewall there."""
_SHARES = {
    "nfs": (("shared-nfs", 2049, 2049),),
    "ceph": (
        ("shared-ceph-monitors", 3300, 3300),
        ("shared-ceph-monitors-old", 6789, 6789),
        ("shared-ceph", 6800, 7300),
    ),
}
"""Type of a share → its rules' names and ports: NFS 4 has one; Ceph's monitors speak two protocols."""
_PORT = re.compile(r"(?:^|//)[^/\s]*?:(\d{1,5})(?=/|\s|$)")
"""The port of http://proxy.example.org:3128 and of registry.example.org:5000/mirror."""


def egress(software: SoftwareSpec, logs: str | None = None) -> tuple[EgressRule, ...]:
    """EGRESS, and the ports of the proxy, the mirrors and the target of logs that cluster.yaml names."""
    places = (software.proxy, software.apt_mirror, software.image_prefix)
    mirrors = (override.mirror for override in software.components.values())
    named = {int(port) for place in (*places, *mirrors) for port in _PORT.findall(place or "")}
    known = {rule.port for rule in EGRESS + _logs(logs) if rule.protocol == "tcp"}
    return (
        EGRESS
        + _logs(logs)
        + tuple(
            EgressRule(
                name=f"software-{port}",
                port=port,
                protocol="tcp",
                networks=ANYWHERE,
                why="a proxy or mirror that software names",
            )
            for port in sorted(named - known)
        )
    )


def _logs(target: str | None) -> tuple[EgressRule, ...]:
    if target is None:
        return ()
    protocol: Protocol = "udp" if target.startswith("udp:") else "tcp"
    port = int(target.rpartition(":")[2])
    why = "where nodes.logs are sent"
    return (EgressRule(name="logs", port=port, protocol=protocol, networks=ANYWHERE, why=why),)


def shares(mounted: Iterable[SharedSpec]) -> tuple[EgressRule, ...]:
    """What agents reach of the file systems that pools share, each once.

    Agents are let out to the address of a share, and to anywhere where it has a name, which groups do not
    know. So they are for Ceph, whose data is elsewhere than its monitors.
    """
    found: dict[tuple[str, int, int], list[IPv4Network]] = {}
    for share in mounted:
        for name, first, last in _SHARES[share.type]:
            networks = found.setdefault((name, first, last), [])
            networks += [one for one in _share_at(share) if one not in networks]
    return tuple(
        EgressRule(
            name=name,
            port=first,
            protocol="tcp",
            networks=ANYWHERE if set(ANYWHERE) <= set(networks) else tuple(networks),
            why="the file system that a pool shares",
            roles=(Role.AGENT,),
            range_end=last,
        )
        for (name, first, last), networks in found.items()
    )


def _share_at(share: SharedSpec) -> tuple[IPv4Network, ...]:
    try:
        return (IPv4Network(share.source.partition(":")[0]),) if share.type == "nfs" else ANYWHERE
    except ValueError:
        return ANYWHERE


def traffic(
    site: SiteSpec,
    zones: Sequence[ZonePlan],
    *,
    roles_here: Iterable[Role],
    roles_anywhere: Iterable[Role],
    admin: tuple[IPv4Network, ...],
    elsewhere: Mapping[Role, tuple[IPv4Network, ...]],
    components: Iterable[Component],
) -> tuple[TrafficRule, ...]:
    """Rules for every role that the site has, from every source that exists, in the components' order.

    `elsewhere` holds the ranges of the roles in other sites. Masters and Consul servers that exist already
    count as the site's: no machine is made for their rules, but whoever reaches them has to be let out.
    """
    here = {*roles_here, *_existing(site)}
    anywhere = {*roles_anywhere, *_existing(site)}
    rules = []
    for component in components:
        for to in (role for role in component.roles if role in here):
            for port in (port for port in component.ports if port.on is None or to in port.on):
                for source in port.reached_by:
                    if isinstance(source, Role) and source not in anywhere:
                        continue
                    networks = _networks(source, site, zones, admin, elsewhere)
                    if networks:
                        rules.append(_rule(component, to, port, source, networks))
    return tuple(rules)


def _networks(
    source: Role | Peer,
    site: SiteSpec,
    zones: Sequence[ZonePlan],
    admin: tuple[IPv4Network, ...],
    elsewhere: Mapping[Role, tuple[IPv4Network, ...]],
) -> tuple[IPv4Network, ...]:
    if isinstance(source, Role):
        own = _existing(site).get(source) or tuple(zone.roles[source] for zone in zones)
        return own + elsewhere.get(source, ())
    if source is Peer.ADMIN:
        return admin
    if source is Peer.FRONTEND:
        return tuple(zone.frontend for zone in zones)
    return site.edge.allow if site.edge and site.edge.public else ()


def _existing(site: SiteSpec) -> Mapping[Role, tuple[IPv4Network, ...]]:
    """Where the machines are that something else made, by role."""
    given = {Role.MASTER: site.masters.existing, Role.CONSUL: site.consul.existing}
    return {role: tuple(IPv4Network(each) for each in found) for role, found in given.items() if found}


def _rule(
    component: Component, to: Role, port: Port, source: Role | Peer, networks: tuple[IPv4Network, ...]
) -> TrafficRule:
    return TrafficRule(
        name=f"{component.name}-{port.name}-from-{source}",
        to=to,
        component=component.name,
        port_name=port.name,
        port=port.number,
        protocol=port.protocol,
        source=source,
        networks=networks,
        why=port.why,
        last=port.last or port.number,
    )
