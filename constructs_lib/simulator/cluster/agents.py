"""Agents of the simulated cluster: what each has, what of it is taken, and whether it can be reached."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from constructs_lib.plan.model import ClusterPlan, PoolPlan, SitePlan

DEFAULT_PORTS = ((31000, 32000),)
Presence = Literal["active", "partitioned", "gone"]
_MIB_OF_GIB = 1024
_TASKS_OF_THE_SYSTEM = 0.25
"""CPUs that a node of ours keeps for itself (cloud-init/mesos_agent/mesos-agent-config)."""


@dataclass(kw_only=True)
class Agent:
    """One agent; memory and disk in MiB. Attributes are texts or numbers, as Mesos has them."""

    hostname: str
    cpus: float = 4.0
    mem: float = 8192.0
    disk: float = 50_000.0
    gpus: float = 0.0
    ports: Sequence[tuple[int, int]] = DEFAULT_PORTS
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    region: str | None = None
    """The fault domain; None where the agent has none."""
    zone: str | None = None
    role: str = "*"
    """Whom its resources are reserved for."""
    maintenance: bool = False
    """Whether its machine is scheduled for maintenance: Marathon places nothing there."""
    presence: Presence = "active"
    deactivated: bool = False
    draining: bool = False
    id: str = ""
    used_cpus: float = 0.0
    used_mem: float = 0.0
    used_disk: float = 0.0
    used_gpus: float = 0.0
    used_ports: set[int] = field(default_factory=set)

    def unused(self) -> Agent:
        """The agent as it is before anything runs on it: who makes one may have several clusters with it."""
        return replace(
            self, id="", used_cpus=0.0, used_mem=0.0, used_disk=0.0, used_gpus=0.0, used_ports=set()
        )

    @property
    def offers(self) -> bool:
        """Whether what is free on it is offered."""
        return self.presence == "active" and not self.deactivated and not self.draining

    def free(self) -> dict[str, float]:
        """What is free of cpus, mem, disk and gpus."""
        return {
            "cpus": round(self.cpus - self.used_cpus, 3),
            "mem": round(self.mem - self.used_mem, 3),
            "disk": round(self.disk - self.used_disk, 3),
            "gpus": round(self.gpus - self.used_gpus, 3),
        }

    def free_ports(self) -> Iterator[int]:
        """Ports that no task has, lowest first."""
        everything = itertools.chain.from_iterable(range(low, high + 1) for low, high in self.ports)
        return (port for port in everything if port not in self.used_ports)

    def has_port(self, port: int) -> bool:
        """Whether this port is offered and free."""
        return port not in self.used_ports and any(low <= port <= high for low, high in self.ports)

    def free_ranges(self) -> list[list[int]]:
        """The free ports as ranges."""
        found: list[list[int]] = []
        for low, high in self.ports:
            start = low
            for taken in sorted(port for port in self.used_ports if low <= port <= high):
                if taken > start:
                    found.append([start, taken - 1])
                start = taken + 1
            if start <= high:
                found.append([start, high])
        return found

    def value(self, name: str) -> str | None:
        """What a constraint compares: `hostname`, `@hostname`, `@region`, `@zone`, or an attribute."""
        if name in ("hostname", "@hostname"):
            return self.hostname
        if name in ("@region", "@zone"):
            return self.region if name == "@region" else self.zone
        found = self.attributes.get(name)
        return None if found is None else f"{found:g}" if isinstance(found, float) else str(found)


def default_agents(number: int = 3) -> list[Agent]:
    """Agents of one pool in one region, one zone after the other."""
    return [
        Agent(
            hostname=f"10.20.64.{10 + index}",
            attributes={"pool": "general"},
            region="eu",
            zone="abc"[index % 3],
        )
        for index in range(number)
    ]


def from_plan(plan: ClusterPlan, counts: Mapping[str, int] | None = None) -> list[Agent]:
    """The agents that a plan's pools begin with, of every site.

    Args:
        plan: of a cluster.yaml.
        counts: pool → how many agents instead of the pool's `count` or `min`.
    """
    return [
        agent
        for number, site in enumerate(plan.sites.values())
        for pool in site.pools
        for agent in _of_pool(site, pool, number, (counts or {}).get(pool.name, pool.min))
    ]


def home_region(plan: ClusterPlan) -> str:
    """The region of a plan's masters."""
    return next(iter(plan.sites.values())).home


def _of_pool(site: SitePlan, pool: PoolPlan, site_number: int, count: int) -> Iterator[Agent]:
    zones = list(pool.ranges) or [zone.name for zone in site.zones]
    spec = pool.spec
    for index in range(count):
        zone = zones[index % len(zones)]
        network = pool.ranges.get(zone)
        # Their real addresses are the platform's choice; these lie where theirs would.
        host = (
            str(network.network_address + 4 + index // len(zones))
            if network is not None
            else f"10.{200 + site_number}.{pool.slot}.{4 + index}"
        )
        yield Agent(
            hostname=host,
            cpus=max(_TASKS_OF_THE_SYSTEM, spec.cpus - _TASKS_OF_THE_SYSTEM),
            mem=float(spec.memory_gib * _MIB_OF_GIB - max(1024, spec.memory_gib * _MIB_OF_GIB // 10)),
            disk=float(spec.disk_gib * _MIB_OF_GIB * 3 // 4 - 5120),
            attributes={"pool": pool.name, **spec.attributes},
            region=site.name,
            zone=zone,
        )
