"""plan(): ClusterSpec and lock in, ClusterPlan out. Pure: no engine, no network, no clock, no randomness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network

from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import Component, ResolvedSoftware, Role, Secret
from constructs_lib.plan.addresses import cut, node_address, pool_range, require_room
from constructs_lib.plan.lock import Lock, SiteLock, complete, wanted_nodes
from constructs_lib.plan.model import (
    ClusterPlan,
    LateValue,
    NodePlan,
    PlannedSecret,
    PoolPlan,
    SitePlan,
    SoftwareMirrors,
    ZonePlan,
)
from constructs_lib.plan.software import resolve_software
from constructs_lib.plan.traffic import egress, shares, traffic
from constructs_lib.spec.model import ClusterSpec, PoolSpec, SiteSpec

DATA_VOLUME_ROLES = (Role.MASTER, Role.CONSUL)
VOLUME_ID_LENGTH = 36
"""The longest id that a platform gives a volume: a UUID; AWS' are 21 characters."""
ADDRESS_LENGTH = len("255.255.255.255")


def plan(spec: ClusterSpec, lock: Lock | None = None) -> ClusterPlan:
    """Decide everything about the cluster; LockError when `lock` doesn't fit, SpecError when nodes don't.

    The returned plan's `lock` is `lock` completed with what it lacked: the caller writes it down.
    """
    locked = complete(spec, lock)
    zones = {
        name: cut(site, locked.sites[name].zones, path=f"sites.{name}") for name, site in spec.sites.items()
    }
    roles = {name: _roles(site) for name, site in spec.sites.items()}
    software = resolve_software(spec.software)
    wanted = [component for component in COMPONENTS if software[component.name].enabled]
    secrets = {name: _secrets(name, roles[name], wanted) for name in spec.sites}
    sites = {
        name: _site(spec, name, locked.sites[name], zones, roles, secrets[name], software)
        for name in spec.sites
    }
    return ClusterPlan(
        name=spec.name,
        sites=sites,
        state=spec.state,
        # A secret that all sites share is named once.
        secrets=tuple({secret.name: secret for named in secrets.values() for secret in named}.values()),
        lock=locked,
    )


def _site(
    spec: ClusterSpec,
    name: str,
    lock: SiteLock,
    zones: dict[str, tuple[ZonePlan, ...]],
    roles: dict[str, tuple[Role, ...]],
    secrets: tuple[PlannedSecret, ...],
    software: Mapping[str, ResolvedSoftware],
) -> SitePlan:
    site = spec.sites[name]
    nodes = _nodes(site, lock, zones[name], path=f"sites.{name}")
    elsewhere: dict[Role, tuple[IPv4Network, ...]] = {
        role: tuple(
            zone.roles[role]
            for other in spec.sites
            if other != name and role in roles[other]
            for zone in zones[other]
        )
        for role in Role
    }
    masters = site.masters.existing or tuple(node.address for node in nodes if node.role is Role.MASTER)
    consul = site.consul.existing or tuple(node.address for node in nodes if node.role is Role.CONSUL)
    return SitePlan(
        cluster=spec.name,
        name=name,
        platform=site.platform,
        aws=site.aws,
        openstack=site.openstack,
        network=site.network,
        mtu=site.mtu or site.facts.mtu,
        protect_data=site.protect_data,
        zones=zones[name],
        nodes=nodes,
        pools=tuple(
            _pool(pool, lock, shape, zones[name], path=f"sites.{name}.agents.{pool}")
            for pool, shape in site.agents.items()
        ),
        masters=masters,
        consul=consul,
        quorum=len(masters) // 2 + 1,
        traffic=traffic(
            site,
            zones[name],
            roles_here=roles[name],
            roles_anywhere={role for there in roles.values() for role in there},
            admin=spec.admin.networks,
            elsewhere=elsewhere,
            components=[component for component in COMPONENTS if software[component.name].enabled],
        ),
        egress=(
            *egress(spec.software, spec.nodes.logs),
            *shares(pool.shared for pool in site.agents.values() if pool.shared),
        ),
        # What no role reads, an authority's key, is none of the site's business.
        secrets=tuple(secret for secret in secrets if secret.declared.roles),
        late_values=_late_values(name, nodes),
        software=software,
        software_mirrors=SoftwareMirrors(
            image_prefix=spec.software.image_prefix,
            apt_mirror=spec.software.apt_mirror,
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
    )


def _roles(site: SiteSpec) -> tuple[Role, ...]:
    """The roles that a site has nodes of."""
    present = {role for role, _ in wanted_nodes(site).values()}
    if site.agents:
        present.add(Role.AGENT)
    return tuple(role for role in Role if role in present)


def _nodes(site: SiteSpec, lock: SiteLock, zones: tuple[ZonePlan, ...], *, path: str) -> tuple[NodePlan, ...]:
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
        for name, (role, number) in wanted_nodes(site).items()
    )


def _data_volume(node: str) -> LateValue:
    return LateValue(kind="data_volume_id", subject=node, max_length=VOLUME_ID_LENGTH)


def _late_values(site: str, nodes: tuple[NodePlan, ...]) -> tuple[LateValue, ...]:
    gateway = LateValue(kind="gateway_public_address", subject=site, max_length=ADDRESS_LENGTH)
    return (gateway, *(node.data_volume for node in nodes if node.data_volume))


def _pool(name: str, lock: SiteLock, spec: PoolSpec, zones: tuple[ZonePlan, ...], *, path: str) -> PoolPlan:
    slot = lock.pools[name]
    least = spec.min if spec.min is not None else spec.count or 0
    most = spec.max if spec.max is not None else spec.count or 0
    spread = [zone for zone in zones if zone.name in lock.spread.get(name, ())]
    ranges = {zone.name: pool_range(zone, slot, path=path) for zone in spread}
    require_room(ranges, most, path=path)
    return PoolPlan(name=name, slot=slot, spec=spec, min=least, max=most, ranges=ranges)


def _secrets(
    site: str, roles: tuple[Role, ...], components: Iterable[Component]
) -> tuple[PlannedSecret, ...]:
    """What the nodes of a site read, each name once, and the authorities that sign it."""
    declared = [secret for component in components for secret in component.secrets]
    read = [secret for secret in declared if set(secret.roles) & set(roles)]
    signers = {secret.signed_by for secret in read}
    found: dict[str, list[Secret]] = {}
    for secret in declared:
        if secret in read or secret.name in signers:
            found.setdefault(secret.name, []).append(secret)
    return tuple(
        PlannedSecret(
            name=f"{name}_{site.replace('-', '_')}" if first.per_site else name,
            declared=first,
            site=site if first.per_site else None,
            dns_names=tuple(name.format(site=site) for name in first.dns_names),
            also=tuple(also),
        )
        for name, (first, *also) in found.items()
    )
