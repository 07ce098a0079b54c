"""Networks: private, apart from each other, and large enough for the nodes.

The cut that constructs_lib.plan.addresses makes: a site's network has four quarters, zone 1 to 3 take the
first three; of each zone the first quarter is public, the second control, the second half agents; public and
control are quartered again by role. A role's part has to be /28 or larger, hence a site /22 or larger.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from math import ceil
from typing import TYPE_CHECKING

from constructs_lib.spec.findings import Check, Finding, Path, Settings

if TYPE_CHECKING:
    from constructs_lib.spec.model import SiteSpec, ZoneRanges

PRIVATE = tuple(IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
"""RFC 1918, and RFC 6598's shared range."""
DOCKER = IPv4Network("172.17.0.0/16")
"""Docker's own bridge on every node."""
PLANNED_BEFORE = 11
"""Node n of a role has address 10 + n of its part, so that many addresses are no node's."""
SMALLEST_SITE = 22
SMALLEST_ROLE_SUBNET = 26
SMALLEST_AGENTS = 28
SMALLEST_NETWORK = 28
WIDEST_ADMIN = 8
"""No network of administrators is wider than a /8; two /1 would be the whole internet."""


def _with_network(settings: Settings) -> Iterator[tuple[str, SiteSpec]]:
    for name, site in settings.cluster.sites.items():
        if settings.intact("sites", name, "network"):
            yield name, site


def _private(settings: Settings) -> Iterator[Finding]:
    for name, site in _with_network(settings):
        path: Path = ("sites", name, "network")
        network = site.network
        if network.is_loopback or network.is_link_local:
            kind = "loopback" if network.is_loopback else "link-local"
            yield Finding(
                path, f"got {network}, which is {kind}, expected a private range such as 10.20.0.0/16"
            )
        elif not any(network.subnet_of(private) for private in PRIVATE):
            ranges = ", ".join(str(private) for private in PRIVATE)
            yield Finding(path, f"got {network}, expected a private range inside one of {ranges}")
        elif network.overlaps(DOCKER):
            yield Finding(
                path, f"got {network}, expected one apart from {DOCKER}, which Docker uses on every node"
            )
        elif not site.facts.widest_network <= network.prefixlen <= SMALLEST_NETWORK:
            yield Finding(
                path,
                f"got /{network.prefixlen}, expected /{site.facts.widest_network} to /{SMALLEST_NETWORK}: "
                f"{site.facts.title} takes no other",
            )


def _sites_apart(settings: Settings) -> Iterator[Finding]:
    seen: list[tuple[str, IPv4Network]] = []
    for name, site in _with_network(settings):
        for other, network in seen:
            if site.network.overlaps(network):
                path: Path = ("sites", name, "network")
                yield Finding(path, f"got {site.network}, expected one apart from {network} of site {other}")
        seen.append((name, site.network))


def _admin_networks(settings: Settings) -> Iterator[Finding]:
    seen: dict[IPv4Network, int] = {}
    for index, network in enumerate(settings.cluster.admin.networks):
        path: Path = ("admin", "networks", index)
        if not settings.intact(*path):
            continue
        if network.prefixlen < WIDEST_ADMIN:
            everybody = " (the whole internet)" if network.prefixlen == 0 else ""
            yield Finding(
                path,
                f"got {network}{everybody}, expected your own networks, /{WIDEST_ADMIN} or narrower: "
                "this is who may reach SSH",
            )
        elif network.is_loopback or network.is_link_local or network.is_multicast:
            yield Finding(path, f"got {network}, expected networks that people come from")
        elif network in seen:
            yield Finding(path, f"the same as networks[{seen[network]}], expected every network once")
        seen.setdefault(network, index)
        for name, site in _with_network(settings):
            if site.doorstep and network == IPv4Network(site.doorstep):
                continue
            if network.prefixlen >= WIDEST_ADMIN and network.overlaps(site.network):
                yield Finding(
                    path, f"got {network}, expected one apart from {site.network}, the network of site {name}"
                )


def _large_enough(settings: Settings) -> Iterator[Finding]:
    for name, site in _with_network(settings):
        path: Path = ("sites", name)
        if not settings.intact(*path, "zones") or not settings.intact(*path, "ranges"):
            continue
        if site.ranges:
            yield from _ranges(path, site)
        elif site.network.prefixlen > SMALLEST_SITE:
            if site.network.prefixlen <= SMALLEST_NETWORK:
                yield Finding(
                    (*path, "network"),
                    f"got /{site.network.prefixlen}, expected /{SMALLEST_SITE} or larger (a smaller number): "
                    "it is cut by zone and role, and each part needs 16 addresses",
                )
        else:
            yield from _room(settings, path, site, site.network.num_addresses // 8)
            yield from _edges(settings, path, site, site.network.num_addresses // 64)


def zone_count(site: SiteSpec) -> int:
    """How many zones the site has."""
    return site.zones if isinstance(site.zones, int) else len(site.zones)


def zone_letters(site: SiteSpec) -> tuple[str, ...]:
    """The zones' letters in order."""
    return tuple("abc"[: site.zones]) if isinstance(site.zones, int) else site.zones


def _room(settings: Settings, path: Path, site: SiteSpec, agents_range: int) -> Iterator[Finding]:
    """`agents_range`: addresses of the smallest agents part. Each pool is spread over the zones alone."""
    if not settings.intact(*path, "agents"):
        return
    zones = zone_count(site)
    needed = sum(
        ceil((pool.count if pool.count is not None else pool.max or 0) / zones)
        for pool in site.agents.values()
    )
    room = agents_range - site.facts.kept_addresses
    if needed > room:
        where = "ranges" if site.ranges else "network"
        spread = f"each of {zones} zones" if zones > 1 else "the zone"
        yield Finding(
            (*path, where),
            f"got room for {room} agents in {spread}, expected {needed}: "
            "take a larger network, more zones or fewer agents",
        )


def _ranges(path: Path, site: SiteSpec) -> Iterator[Finding]:
    letters = zone_letters(site)
    for letter in site.ranges:
        if letter not in letters:
            yield Finding(
                (*path, "ranges", letter), f"unknown zone, expected {', '.join(letters)} (see zones)"
            )
    for letter in letters:
        if letter not in site.ranges:
            yield Finding(
                (*path, "ranges"), f"zone {letter} is missing, expected every zone or no ranges at all"
            )
    seen: list[tuple[str, IPv4Network]] = []
    for letter, ranges in site.ranges.items():
        for part, network in _parts(ranges):
            where: Path = (*path, "ranges", letter, part)
            smallest = SMALLEST_AGENTS if part == "agents" else SMALLEST_ROLE_SUBNET
            if not network.subnet_of(site.network):
                yield Finding(where, f"got {network}, expected a part of the site's network {site.network}")
            widest = site.facts.widest_network
            if not widest <= network.prefixlen <= smallest:
                yield Finding(where, f"got /{network.prefixlen}, expected /{widest} to /{smallest}")
            for other, taken in seen:
                if network.overlaps(taken):
                    yield Finding(where, f"got {network}, expected one apart from {taken}, which is {other}")
            seen.append((f"ranges.{letter}.{part}", network))


def _range_room(settings: Settings) -> Iterator[Finding]:
    for name, site in _with_network(settings):
        path: Path = ("sites", name)
        if site.ranges and settings.intact(*path, "ranges") and settings.intact(*path, "zones"):
            smallest = min(ranges.agents.num_addresses for ranges in site.ranges.values())
            if smallest > site.facts.kept_addresses:
                yield from _room(settings, path, site, smallest)
            control = min(ranges.control.num_addresses for ranges in site.ranges.values())
            if control >= 2 ** (32 - SMALLEST_ROLE_SUBNET):
                yield from _edges(settings, path, site, control // 4)


def _edges(settings: Settings, path: Path, site: SiteSpec, role_range: int) -> Iterator[Finding]:
    """`role_range`: addresses of one role's part in a zone. Masters and Consul nodes always fit."""
    if site.edge is None or not settings.intact(*path, "edge"):
        return
    room = role_range - PLANNED_BEFORE
    if site.edge.count > room:
        yield Finding(
            (*path, "edge", "count"), f"got {site.edge.count}, expected at most {room}, or a larger network"
        )


def _parts(ranges: ZoneRanges) -> tuple[tuple[str, IPv4Network], ...]:
    return ("public", ranges.public), ("control", ranges.control), ("agents", ranges.agents)


CHECKS: tuple[Check, ...] = (_private, _sites_apart, _admin_networks, _large_enough, _range_room)
