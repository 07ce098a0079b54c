"""The traffic table: who may reach whom, on which named port, and why. Every firewall is a loop over it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import IPv4Network

from constructs_lib.components.model import Component, Peer, Port, Protocol, Role
from constructs_lib.plan.model import EgressRule, SiteLink, TrafficRule, ZonePlan
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
PORT = re.compile(r"(?:^|//)[^/\s]*?:(\d{1,5})(?=/|\s|$)")
"""The port of http://proxy.example.org:3128 and of registry.example.org:5000/mirror."""


def calls(link: SiteLink | None) -> tuple[EgressRule, ...]:
    """What the gateway needs to call those of other sites, which may be behind any address."""
    ports = sorted({peer.port for peer in link.peers if peer.address}) if link else []
    return tuple(
        EgressRule(
            name=f"site-link-{port}",
            port=port,
            protocol="udp",
            networks=ANYWHERE,
            why="the gateway calls those of other sites",
            roles=(Role.GATEWAY,),
        )
        for port in ports
    )


def egress(
    software: SoftwareSpec, logs: str | None = None, alertmanagers: Sequence[str] = ()
) -> tuple[EgressRule, ...]:
    """EGRESS, and the ports of the proxy, the mirrors and the targets of logs and alerts in cluster.yaml."""
    places = (software.proxy, software.apt_mirror, software.apt_security_mirror, software.image_prefix)
    mirrors = (override.mirror for override in software.components.values())
    named = {int(port) for place in (*places, *mirrors) for port in PORT.findall(place or "")}
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
        + _alerts(alertmanagers, known | named)
    )


def _alerts(alertmanagers: Sequence[str], open_anyway: Collection[int]) -> tuple[EgressRule, ...]:
    """For Consul nodes, where Prometheus is; a port that every node is let out to needs no second rule."""
    ports = {int(url.rpartition(":")[2]) for url in alertmanagers}
    return tuple(
        EgressRule(
            name=f"alerts-{port}",
            port=port,
            protocol="tcp",
            networks=ANYWHERE,
            why="where nodes.alertmanagers are sent alerts",
            roles=(Role.CONSUL,),
        )
        for port in sorted(ports.difference(open_anyway))
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
    admin: tuple[IPv4Network, ...],
    elsewhere: Mapping[Role, tuple[IPv4Network, ...]],
    home: bool,
    linked: bool,
    called: bool,
    components: Iterable[Component],
) -> tuple[TrafficRule, ...]:
    """Rules for every role that the site has, from every source that exists, in the components' order.

    `elsewhere` holds the ranges of the roles in other sites, for the ports that let them in. `home`: whether
    this is the home site; `linked`: whether there are others; `called`: whether one of these calls this
    site's gateway. Masters and Consul servers that exist already
    count as the site's: no machine is made for their rules, but whoever reaches them has to be let out.
    """
    existing = existing_ranges(site)
    here = {*roles_here, *existing}
    frontends = tuple(zone.frontend for zone in zones)
    peers: Mapping[Peer, tuple[IPv4Network, ...]] = {
        Peer.ADMIN: admin,
        Peer.FRONTEND: frontends,
        Peer.PUBLIC: _visitors(site, frontends),
        Peer.SITES: ANYWHERE if called else (),
    }

    def networks(port: Port, source: Role | Peer) -> tuple[IPv4Network, ...]:
        if isinstance(source, Peer):
            return peers[source]
        own = existing.get(source) or tuple(zone.roles[source] for zone in zones if source in here)
        let_in = source in port.from_sites and (home or not port.home_only)
        return (own if source in port.reached_by else ()) + (elsewhere[source] if let_in else ())

    return tuple(
        _rule(component, to, port, source, found)
        for component in components
        for to in component.roles
        if to in here
        for port in component.ports
        if (port.on is None or to in port.on) and (linked or not port.linked)
        for source in dict.fromkeys((*port.reached_by, *port.from_sites))
        for found in (networks(port, source),)
        if found
    )


def _visitors(site: SiteSpec, frontends: tuple[IPv4Network, ...]) -> tuple[IPv4Network, ...]:
    """Whose packets an edge sees: visitors' own, and those of a balancer that passes on what they say."""
    if site.edge is None:
        return ()
    return (site.edge.allow if site.edge.public else ()) + (frontends if site.edge.load_balancer else ())


def existing_ranges(site: SiteSpec) -> Mapping[Role, tuple[IPv4Network, ...]]:
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
