"""How a site's network is cut: by zone, then by role, into ranges that never move.

    site /16 ─┬─ zone 0 /18 ─┬─ public  /20: gateway /22, frontend /22, two quarters spare
              ├─ zone 1 /18  ├─ control /20: master /22, consul /22, edge /22, one quarter spare
              ├─ zone 2 /18  └─ agents  /19
              └─ spare  /18

The cut does not depend on how many zones or nodes there are, so growing moves nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network

from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.plan.model import NodePlan, PoolPlan, ZonePlan
from constructs_lib.spec.model import SiteSpec, ZoneRanges

MAX_ZONES = 3
SMALLEST_SITE_PREFIX = 22
"""A role's slice of a /22 is a /28: the smallest subnet that a public cloud offers."""
FIRST_NODE_OFFSET = 10
"""Node number n of a role has address offset 10 + n; clouds keep the first four addresses for themselves."""

SMALLEST_POOL_PREFIX = 28
FIRST_AGENT_OFFSET = 4
"""Agent number i of a pool, from 0, has address offset 4 + i / zones in its zone's part of the pool."""


def cut(site: SiteSpec, zones: Sequence[str], *, path: str) -> tuple[ZonePlan, ...]:
    """The zones of a site with all their ranges; `path` names the site in errors."""
    if len(zones) > MAX_ZONES:
        raise SpecError(f"{path}.zones", list(zones), f"at most {MAX_ZONES} zones")
    return tuple(_zone(index, name, _ranges(site, index, name, path)) for index, name in enumerate(zones))


def _ranges(site: SiteSpec, index: int, name: str, path: str) -> ZoneRanges:
    if name in site.ranges:
        return site.ranges[name]
    if site.network.prefixlen > SMALLEST_SITE_PREFIX:
        raise SpecError(f"{path}.network", str(site.network), f"a /{SMALLEST_SITE_PREFIX} or larger")
    zone = _subnet(site.network, 2, index)
    return ZoneRanges(public=_subnet(zone, 2, 0), control=_subnet(zone, 2, 1), agents=_subnet(zone, 1, 1))


def _subnet(network: IPv4Network, bits: int, index: int) -> IPv4Network:
    """The `index`th of the 2**bits equal parts, without listing the others."""
    prefix = network.prefixlen + bits
    return IPv4Network((int(network.network_address) + (index << (32 - prefix)), prefix))


def _zone(index: int, name: str, ranges: ZoneRanges) -> ZonePlan:
    roles: Mapping[Role, IPv4Network] = {
        Role.GATEWAY: _subnet(ranges.public, 2, 0),
        Role.MASTER: _subnet(ranges.control, 2, 0),
        Role.CONSUL: _subnet(ranges.control, 2, 1),
        Role.EDGE: _subnet(ranges.control, 2, 2),
        Role.AGENT: ranges.agents,
    }
    return ZonePlan(
        name=name,
        index=index,
        public=ranges.public,
        control=ranges.control,
        agents=ranges.agents,
        roles=roles,
        frontend=_subnet(ranges.public, 2, 1),
    )


def node_address(zone: ZonePlan, role: Role, number: int, *, path: str) -> IPv4Address:
    """The fixed address of node `number` (from 1) of `role` in `zone`; SpecError when its range is full."""
    slice_ = zone.roles[role]
    offset = FIRST_NODE_OFFSET + number
    if offset >= slice_.num_addresses:
        room = slice_.num_addresses - FIRST_NODE_OFFSET - 1
        raise SpecError(path, number, f"at most {room} {role} nodes in {slice_}, or a larger network")
    return slice_[offset]


def pool_range(zone: ZonePlan, slot: int, *, path: str) -> IPv4Network:
    """The part of the zone's agents that the pool with `slot` has: half, a quarter, an eighth and so on.

    So one pool can have thousands, further ones still find room, and none ever moves. SpecError when nothing
    is left.
    """
    bits = slot + 1
    if zone.agents.prefixlen + bits > SMALLEST_POOL_PREFIX:
        most = SMALLEST_POOL_PREFIX - zone.agents.prefixlen
        raise SpecError(
            path,
            f"pool number {slot + 1} of the site",
            f"at most {most} pools in {zone.agents} of zone {zone.name}, or a larger network",
        )
    return _subnet(zone.agents, bits, 2**bits - 2)


def require_room(ranges: Mapping[str, IPv4Network], agents: int, *, path: str) -> None:
    """SpecError when a pool has more agents than addresses; each zone takes its turn."""
    if not ranges:
        return
    room = min(network.num_addresses for network in ranges.values()) - FIRST_AGENT_OFFSET - 1
    if agents > room * len(ranges):
        raise SpecError(
            f"{path}.count",
            agents,
            f"at most {room * len(ranges)}, {room} in each zone's {next(iter(ranges.values()))}: the pools "
            "listed first have the most room; take a larger network or several pools",
        )


def agents_in_zones(pool: PoolPlan) -> dict[str, int]:
    """Zone → how many of the pool's `max` agents `planned_agents` puts there, counted at once."""
    zones = len(pool.ranges)
    return {name: (pool.max - at + zones - 1) // zones for at, name in enumerate(pool.ranges)}


def planned_agents(pool: PoolPlan, zones: Sequence[ZonePlan]) -> tuple[NodePlan, ...]:
    """The agents of a pool whose addresses are planned, in the order of their numbers; none elsewhere.

    The same sum as the platforms leave to Terraform, so that a stack does not grow with the pool.
    """
    by_name = {zone.name: zone for zone in zones}
    spread = [(by_name[name], network) for name, network in pool.ranges.items()]
    if not spread:
        return ()
    return tuple(
        NodePlan(
            name=f"{pool.name}-{index + 1}",
            role=Role.AGENT,
            number=index + 1,
            zone=spread[index % len(spread)][0],
            address=spread[index % len(spread)][1][FIRST_AGENT_OFFSET + index // len(spread)],
            data_volume=None,
        )
        for index in range(pool.max)
    )
