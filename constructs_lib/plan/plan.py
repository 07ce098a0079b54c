"""plan(): ClusterSpec and lock in, ClusterPlan out. Pure: no engine, no network, no clock, no randomness."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import Component, ResolvedSoftware, Role, Secret
from constructs_lib.plan.addresses import cut, node_address, pool_range, require_room
from constructs_lib.plan.app_secrets import app_secrets
from constructs_lib.plan.backup_rights import backup_rights
from constructs_lib.plan.hosts import require_capacity
from constructs_lib.plan.link import Ranges, calling_order, link_of, passages, public_address, relays
from constructs_lib.plan.lock import Lock, SiteLock, complete, wanted_nodes
from constructs_lib.plan.model import (
    ClusterPlan,
    LateValue,
    NodePlan,
    Passage,
    PlannedSecret,
    PoolPlan,
    SiteLink,
    SitePlan,
    SoftwareMirrors,
    Terms,
    TrafficRule,
    ZonePlan,
)
from constructs_lib.plan.platform_backup import backup_egress, backup_secrets, platform_backup
from constructs_lib.plan.software import resolve_software
from constructs_lib.plan.traffic import calls, egress, existing_ranges, shares, traffic
from constructs_lib.spec.model import ClusterSpec, PoolSpec, SiteSpec

DATA_VOLUME_ROLES = (Role.MASTER, Role.CONSUL)
MTU_LENGTH = len("65535")
VOLUME_ID_LENGTH = 36
"""The longest id that a platform gives a volume: a UUID; AWS' are 21 characters."""


def plan(spec: ClusterSpec, lock: Lock | None = None) -> ClusterPlan:
    """Decide everything about the cluster; LockError when `lock` doesn't fit, SpecError when nodes don't.

    The returned plan's `lock` is `lock` completed with what it lacked: the caller writes it down.
    """
    locked = complete(spec, lock)
    zones = {
        name: cut(site, locked.sites[name].zones, path=f"sites.{name}") for name, site in spec.sites.items()
    }
    roles = {name: _roles(site, home=name == spec.home) for name, site in spec.sites.items()}
    software = resolve_software(spec.software)
    wanted = [component for component in COMPONENTS if software[component.name].enabled]
    nodes = {
        name: _nodes(spec, name, locked.sites[name], zones[name], path=f"sites.{name}") for name in spec.sites
    }
    links = _links(spec, nodes)
    if len(spec.sites) == 1:
        wanted = [component for component in wanted if not component.linked]
    secrets = {
        name: (
            *_secrets(name, roles[name], wanted, links[name]),
            *backup_secrets(spec, app_secrets(spec, name)),
        )
        for name in spec.sites
    }
    ranges = {name: _ranges(site, roles[name], zones[name]) for name, site in spec.sites.items()}
    tables = {
        name: _traffic(spec, name, zones, ranges, roles[name], links[name], wanted) for name in spec.sites
    }
    every, relaying = passages(tables, ranges), relays(spec)
    sites = {
        name: _site(
            spec,
            name,
            locked.sites[name],
            zones[name],
            nodes,
            tables[name],
            _with_passages(name, links[name], every, relaying),
            secrets[name],
            software,
        )
        for name in spec.sites
    }
    for site in sites.values():
        require_capacity(site)
    return ClusterPlan(
        name=spec.name,
        sites=sites,
        order=calling_order(spec),
        state=spec.state,
        # A secret that all sites share is named once.
        secrets=tuple({secret.name: secret for named in secrets.values() for secret in named}.values()),
        terms=Terms(policies=spec.policies, backups=spec.backups, app_secrets=spec.app_secrets),
        lock=locked,
    )


def _addresses(nodes: Iterable[NodePlan], role: Role) -> tuple[IPv4Address, ...]:
    return tuple(node.address for node in nodes if node.role is role)


def _links(spec: ClusterSpec, nodes: Mapping[str, tuple[NodePlan, ...]]) -> dict[str, SiteLink | None]:
    consul = {name: _addresses(nodes[name], Role.CONSUL) for name in spec.sites}
    return {name: link_of(spec, name, consul) for name in spec.sites}


def _with_passages(
    name: str, link: SiteLink | None, every: tuple[Passage, ...], relaying: Container[str]
) -> SiteLink | None:
    """A gateway sees what goes to and from its own site, and all where it joins two others."""
    if link is None:
        return None
    seen = (each for each in every if name in relaying or name in (each.source_site, each.to_site))
    return replace(link, passages=tuple(seen))


def _ranges(site: SiteSpec, roles: tuple[Role, ...], zones: tuple[ZonePlan, ...]) -> Ranges:
    planned = {role: tuple(zone.roles[role] for zone in zones) for role in roles}
    return {**planned, **existing_ranges(site)}


def _traffic(
    spec: ClusterSpec,
    name: str,
    zones: Mapping[str, tuple[ZonePlan, ...]],
    ranges: Mapping[str, Ranges],
    roles: tuple[Role, ...],
    link: SiteLink | None,
    components: Iterable[Component],
) -> tuple[TrafficRule, ...]:
    others = [there for other, there in ranges.items() if other != name]
    elsewhere = {role: tuple(n for there in others for n in there.get(role, ())) for role in Role}
    return traffic(
        spec.sites[name],
        zones[name],
        roles_here=roles,
        admin=spec.admin.networks,
        elsewhere=elsewhere,
        home=name == spec.home,
        linked=link is not None,
        called=link is not None and link.called,
        components=components,
    )


def _site(
    spec: ClusterSpec,
    name: str,
    lock: SiteLock,
    zones: tuple[ZonePlan, ...],
    every: Mapping[str, tuple[NodePlan, ...]],
    table: tuple[TrafficRule, ...],
    link: SiteLink | None,
    secrets: tuple[PlannedSecret, ...],
    software: Mapping[str, ResolvedSoftware],
) -> SitePlan:
    site, nodes = spec.sites[name], every[name]
    outside = egress(spec.software, spec.nodes.logs, spec.nodes.alertmanagers)
    masters = spec.sites[spec.home].masters.existing or _addresses(every[spec.home], Role.MASTER)
    late_mtu = _late_mtu(name, site, link)
    return SitePlan(
        cluster=spec.name,
        name=name,
        home=spec.home,
        platform=site.platform,
        cloud=site.cloud or site.facts.cloud,
        aws=site.aws,
        openstack=site.openstack,
        libvirt=site.libvirt,
        images=lock.images,
        network=site.network,
        mtu=site.mtu or site.facts.mtu,
        mtu_given=site.mtu is not None,
        late_mtu=late_mtu,
        protect_data=site.protect_data,
        zones=zones,
        nodes=nodes,
        pools=tuple(
            _pool(pool, lock, shape, zones, path=f"sites.{name}.agents.{pool}")
            for pool, shape in site.agents.items()
        ),
        masters=masters,
        consul=site.consul.existing or _addresses(nodes, Role.CONSUL),
        quorum=len(masters) // 2 + 1,
        traffic=table,
        egress=(
            *outside,
            *backup_egress(spec, outside),
            *shares(pool.shared for pool in site.agents.values() if pool.shared),
            *calls(link),
        ),
        link=link,
        # What no role reads, an authority's key, is none of the site's business.
        secrets=tuple(secret for secret in secrets if secret.declared.roles),
        late_values=_late_values(name, nodes, link, late_mtu),
        software=software,
        software_mirrors=SoftwareMirrors(
            image_prefix=spec.software.image_prefix,
            apt_mirror=spec.software.apt_mirror,
            apt_security_mirror=spec.software.apt_security_mirror,
            proxy=spec.software.proxy,
        ),
        nodes_spec=spec.nodes,
        admin=spec.admin,
        tags=spec.tags,
        cloud_config=spec.cloud_config,
        masters_spec=site.masters,
        consul_spec=site.consul,
        registry=site.registry,
        gateway_spec=site.gateway,
        edge_spec=site.edge,
        platform_backup=platform_backup(spec),
        backup_rights=backup_rights(spec, name),
    )


def _roles(site: SiteSpec, *, home: bool) -> tuple[Role, ...]:
    """The roles that a site has nodes of."""
    present = {role for role, _ in wanted_nodes(site, home=home).values()}
    if site.agents:
        present.add(Role.AGENT)
    return tuple(role for role in Role if role in present)


def _nodes(
    spec: ClusterSpec, site: str, lock: SiteLock, zones: tuple[ZonePlan, ...], *, path: str
) -> tuple[NodePlan, ...]:
    by_name = {zone.name: zone for zone in zones}
    return tuple(
        NodePlan(
            name=name,
            role=role,
            number=number,
            zone=by_name[lock.placed[name]],
            address=node_address(by_name[lock.placed[name]], role, number, path=f"{path}.{role}.count"),
            data_volume=_data_volume(name) if role in DATA_VOLUME_ROLES else None,
        )
        for name, (role, number) in wanted_nodes(spec.sites[site], home=site == spec.home).items()
    )


def _data_volume(node: str) -> LateValue:
    return LateValue(kind="data_volume_id", subject=node, max_length=VOLUME_ID_LENGTH)


def _late_mtu(name: str, site: SiteSpec, link: SiteLink | None) -> LateValue | None:
    """The network's own; with links it is theirs, less than any network that such a site may have."""
    if link or site.mtu is not None or not site.facts.own_mtu:
        return None
    return LateValue(kind="network_mtu", subject=name, max_length=MTU_LENGTH)


def _late_values(
    site: str, nodes: tuple[NodePlan, ...], link: SiteLink | None, mtu: LateValue | None
) -> tuple[LateValue, ...]:
    """Those of the site itself, and the addresses of the gateways that its own calls."""
    called = [peer.address for peer in link.peers] if link else []
    return (
        public_address(site),
        *(node.data_volume for node in nodes if node.data_volume),
        *([mtu] if mtu else []),
        *(address for address in called if isinstance(address, LateValue)),
    )


def _pool(name: str, lock: SiteLock, spec: PoolSpec, zones: tuple[ZonePlan, ...], *, path: str) -> PoolPlan:
    slot = lock.pools[name]
    least = spec.min if spec.min is not None else spec.count or 0
    most = spec.max if spec.max is not None else spec.count or 0
    spread = [zone for zone in zones if zone.name in lock.spread.get(name, ())]
    ranges = {zone.name: pool_range(zone, slot, path=path) for zone in spread}
    require_room(ranges, most, path=path)
    return PoolPlan(name=name, slot=slot, spec=spec, min=least, max=most, ranges=ranges)


def _secrets(
    site: str, roles: tuple[Role, ...], components: Iterable[Component], link: SiteLink | None
) -> tuple[PlannedSecret, ...]:
    """What the nodes of a site read, each name once, and the authorities that sign it."""
    declared = [secret for component in components for secret in component.secrets]
    read = [secret for secret in declared if set(secret.roles) & set(roles)]
    signers = {secret.signed_by for secret in read}
    found: dict[str, list[Secret]] = {}
    for secret in declared:
        if secret in read or secret.name in signers:
            found.setdefault(secret.name, []).append(secret)
    peers = [peer.site for peer in link.peers] if link else []
    return tuple(
        PlannedSecret(
            name=f"{name}_{owner.replace('-', '_')}" if owner else name,
            declared=first,
            site=owner,
            dns_names=tuple(name.format(site=owner) for name in first.dns_names),
            also=tuple(also),
        )
        for name, (first, *also) in found.items()
        for owner in (peers if first.of_others else [site] if first.per_site else [None])
    )
