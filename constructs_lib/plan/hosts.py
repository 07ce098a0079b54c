"""What a site asks of each of its hosts, where zones are hosts; and whether they can hold it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.plan.addresses import agents_in_zones
from constructs_lib.plan.model import SitePlan
from constructs_lib.spec.model import ConsulSpec, EdgeSpec, GatewaySpec, MastersSpec, PoolSpec

Sized = MastersSpec | ConsulSpec | GatewaySpec | EdgeSpec | PoolSpec

ROOT_GIB = 20
"""A node's root disk: the operating system, Docker's images and logs; data has its own volume."""


@dataclass(frozen=True, kw_only=True)
class HostLoad:
    """All machines of one zone together, disks as if each were full."""

    zone: str
    machines: int
    cpus: int
    widest: int
    """vCPUs of the largest machine; more than a host has makes it crawl."""
    memory_gib: int
    disk_gib: int


def host_loads(plan: SitePlan) -> tuple[HostLoad, ...]:
    """One for each zone, in order."""
    machines = list(_machines(plan))
    return tuple(
        _load(zone.name, [(count, spec) for at, count, spec in machines if at == zone.name])
        for zone in plan.zones
    )


def require_capacity(plan: SitePlan) -> None:
    """SpecError when a host is asked for more than `libvirt.capacity` says it has."""
    if plan.libvirt is None:
        return
    capacity = plan.libvirt.capacity
    for load in host_loads(plan):
        for setting, has, asked in (
            ("cpus", capacity.cpus, load.cpus),
            ("memory_gib", capacity.memory_gib, load.memory_gib),
            ("disk_gib", capacity.disk_gib, load.disk_gib),
        ):
            if has is not None and asked > has:
                raise SpecError(
                    f"sites.{plan.name}.libvirt.capacity.{setting}",
                    has,
                    f"at least {asked}, for the {load.machines} machines on the host of zone {load.zone}: "
                    "take fewer or smaller ones, or another host with another zone",
                )


def root_gib(spec: Sized) -> int:
    """The root disk of a machine in GiB."""
    return spec.disk_gib if isinstance(spec, PoolSpec) else ROOT_GIB


def smallest_root_gib(plan: SitePlan) -> int:
    """The smallest root disk of the site's machines in GiB: no image may be of a larger one."""
    planned = [ROOT_GIB] if plan.nodes else []
    return min([*planned, *(root_gib(pool.spec) for pool in plan.pools)], default=ROOT_GIB)


def _machines(plan: SitePlan) -> Iterator[tuple[str, int, Sized]]:
    """Zone, number and shape of like machines; agents are counted, since there may be many."""
    specs: dict[Role, Sized | None] = {
        Role.MASTER: plan.masters_spec,
        Role.CONSUL: plan.consul_spec,
        Role.GATEWAY: plan.gateway_spec,
        Role.EDGE: plan.edge_spec,
    }
    for node in plan.nodes:
        spec = specs[node.role]
        if spec:
            yield node.zone.name, 1, spec
    for pool in plan.pools:
        for zone, count in agents_in_zones(pool).items():
            if count:
                yield zone, count, pool.spec


def _load(zone: str, machines: list[tuple[int, Sized]]) -> HostLoad:
    return HostLoad(
        zone=zone,
        machines=sum(count for count, _ in machines),
        cpus=sum(count * spec.cpus for count, spec in machines),
        widest=max((spec.cpus for _, spec in machines), default=0),
        memory_gib=sum(count * spec.memory_gib for count, spec in machines),
        disk_gib=sum(count * _disk_gib(spec) for count, spec in machines),
    )


def _disk_gib(spec: Sized) -> int:
    """Root disk and data volume in GiB."""
    return root_gib(spec) + (spec.disk_gib if isinstance(spec, MastersSpec | ConsulSpec) else 0)
