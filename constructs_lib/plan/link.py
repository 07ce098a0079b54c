"""How the sites of a cluster are joined: who calls whom, which networks lie behind whom, what may pass.

Every two gateways have a WireGuard tunnel where one of them can be called; two that can't are joined through
a third one, the home site's where that is possible. Of two exactly one calls: sites that can be called come
first, the home site before others, then by name, and each calls those before it. So a site's machines need
public addresses of earlier sites alone, and the order of the stacks never has a cycle.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

from constructs_lib.components.model import Role
from constructs_lib.components.site_link import SITE_LINK
from constructs_lib.plan.model import (
    ADDRESS_LENGTH,
    LateValue,
    LinkedSite,
    LinkPeer,
    Passage,
    SiteLink,
    TrafficRule,
)
from constructs_lib.spec.model import ClusterSpec

Ranges = Mapping[Role, tuple[IPv4Network, ...]]
"""Role → where its machines are, for those that a site has."""
LISTEN_PORT = SITE_LINK.port("wireguard").number
OVERHEAD = 80
"""Bytes of WireGuard's header with an outer IPv6 header; 60 over IPv4."""
LARGEST_OUTSIDE = 1500
"""Between sites lies the internet, whatever the sites' own networks take."""


def calling_order(spec: ClusterSpec) -> tuple[str, ...]:
    """The sites, each of which calls those before it; also the order in which they are deployed."""
    return tuple(
        sorted(spec.sites, key=lambda name: (not spec.sites[name].reachable, name != spec.home, name))
    )


def public_address(site: str) -> LateValue:
    """The public address of a site's gateway, which its platform chooses."""
    return LateValue(kind="gateway_public_address", subject=site, max_length=ADDRESS_LENGTH)


def link_mtu(spec: ClusterSpec) -> int:
    """The largest packet in bytes inside every tunnel of the cluster."""
    return min(
        site.link.mtu or min(site.mtu or site.facts.mtu, LARGEST_OUTSIDE) - OVERHEAD
        for site in spec.sites.values()
    )


def link_of(spec: ClusterSpec, name: str, consul: Mapping[str, tuple[IPv4Address, ...]]) -> SiteLink | None:
    """The links of the site `name`, None where it is alone. `consul`: each site's Consul servers."""
    order = calling_order(spec)
    if len(order) == 1:
        return None
    ways = {other: _way(spec, order, name, other) for other in order if other != name}
    return SiteLink(
        mtu=link_mtu(spec),
        sites=tuple(
            LinkedSite(name=other, network=spec.sites[other].network, consul=consul[other], via=via)
            for other, via in ways.items()
        ),
        peers=tuple(
            _peer(spec, order, name, other, [site for site, through in ways.items() if through == other])
            for other, via in ways.items()
            if via == other
        ),
        called=any(_calls(order, other, name) for other, via in ways.items() if via == other),
    )


def passages(
    rules: Mapping[str, tuple[TrafficRule, ...]], ranges: Mapping[str, Ranges]
) -> tuple[Passage, ...]:
    """What the traffic tables of all sites let through from one site to another.

    `ranges`: where the machines of each role are, by site.
    """
    return tuple(
        Passage(
            rule=rule,
            source=rule.source,
            source_site=other,
            to_site=site,
            sources=sources,
            destinations=ranges[site][rule.to],
        )
        for site, table in rules.items()
        for rule in table
        if isinstance(rule.source, Role)
        for other in ranges
        if other != site
        for sources in (tuple(n for n in ranges[other].get(rule.source, ()) if n in rule.networks),)
        if sources
    )


def relays(spec: ClusterSpec) -> frozenset[str]:
    """The sites whose gateways join two others that can't call each other."""
    order = calling_order(spec)
    pairs = ((one, other) for one in order for other in order if one != other)
    return frozenset(via for one, other in pairs for via in (_way(spec, order, one, other),) if via != other)


def _way(spec: ClusterSpec, order: tuple[str, ...], one: str, other: str) -> str:
    """The site whose gateway `one` has a tunnel to, for packets to `other`."""
    if spec.sites[one].reachable or spec.sites[other].reachable:
        return other
    return order[0]


def _calls(order: tuple[str, ...], one: str, other: str) -> bool:
    return order.index(one) > order.index(other)


def _peer(spec: ClusterSpec, order: tuple[str, ...], name: str, other: str, behind: list[str]) -> LinkPeer:
    calls = _calls(order, name, other)
    link = spec.sites[other].link
    return LinkPeer(
        site=other,
        networks=tuple(spec.sites[site].network for site in behind),
        address=(link.endpoint or public_address(other)) if calls else None,
        port=link.port if link.endpoint else LISTEN_PORT,
    )
