"""What agents offer and how many instances they hold, from the plan alone.

An agent offers less than its machine has (`mesos-agent-config`); this is the same formula over what an
operating system sees of the nominal size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from constructs_lib.contracts.model import AppContract
from constructs_lib.contracts.placement import Spot, per_host_of, spread_zones, zones_of

SEEN = 0.95
"""The share of the nominal memory and disk that an operating system sees: the rest is firmware's and the file
system's own.
"""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """CPUs and MiB: what an agent offers, or what an instance asks for."""

    cpus: float
    mem: int
    disk: int

    def lacks(self, asked: Offer) -> tuple[str, ...]:
        """What of `asked` is not there, with numbers."""
        rows = (
            ("CPUs", asked.cpus, self.cpus, ""),
            ("memory", asked.mem, self.mem, " MiB"),
            ("disk", asked.disk, self.disk, " MiB"),
        )
        return tuple(
            f"{what}: asked {want:g}{unit}, offered {have:g}{unit}, missing {round(want - have, 2):g}{unit}"
            for what, want, have, unit in rows
            if want > have
        )

    def holds(self, asked: Offer) -> int:
        """How many instances fit beside each other."""
        rows = ((self.cpus, asked.cpus), (self.mem, asked.mem), (self.disk, asked.disk))
        return min((int(have / want) for have, want in rows if want), default=0)


def offered(spot: Spot) -> Offer | None:
    """What one agent of the pool offers; None where its size has a name of the platform's own."""
    spec = spot.pool.spec
    if spec.instance_type or spec.flavor:
        return None
    memory, disk = int(spec.memory_gib * 1024 * SEEN), int(spec.disk_gib * 1024 * SEEN)
    return Offer(
        cpus=round(max(0.25, spec.cpus - 0.25), 2),
        mem=max(memory // 2, memory - max(1024, memory // 10)),
        disk=max(disk // 2, disk * 3 // 4 - 5120),
    )


def asked(contract: AppContract) -> Offer:
    """What one instance asks for."""
    ops = contract.ops
    return Offer(cpus=ops.cpus, mem=ops.memory_mib, disk=ops.disk_mib)


def most_at_once(contract: AppContract) -> int:
    """Instances of both versions together, at most, while one replaces the other."""
    deploy, number = contract.ops.deploy, contract.ops.instances.max
    if deploy.strategy == "recreate":
        return number
    if deploy.strategy == "blue-green":
        return 2 * number
    canary = deploy.canary.instances if deploy.canary else 1
    return number + max(deploy.surge, canary if deploy.strategy == "canary" else 0)


def room(contract: AppContract, allowed: Iterable[Spot], *, versions: int = 1) -> int | None:
    """How many instances the pools hold at their largest, alone; None where a pool's size is not known.

    `versions` beside each other: Marathon counts instances on an agent and in a zone for each of them apart.
    """
    spots = tuple(allowed)
    if any(offered(spot) is None for spot in spots):
        return None
    zones = _by_zone(contract, spots, versions)
    there = sum(zones.values())
    if contract.ops.nodes:
        largest = max((_on_one(contract, spot, versions) for spot in spots), default=0)
        return min(there, len(contract.ops.nodes) * largest)
    if spread_zones(contract, spots) > 1:
        return min(there, versions * _evenly(_by_zone(contract, spots, 1)))
    return there


def _by_zone(contract: AppContract, spots: Iterable[Spot], versions: int) -> dict[str, int]:
    """Zone → how many instances its agents hold."""
    found: dict[str, int] = {}
    for spot in spots:
        zones = zones_of([spot])
        for number, zone in enumerate(zones):
            agents = spot.pool.max // len(zones) + (number < spot.pool.max % len(zones))
            found[zone] = found.get(zone, 0) + agents * _on_one(contract, spot, versions)
    return found


def _on_one(contract: AppContract, spot: Spot, versions: int) -> int:
    """How many instances one agent of the pool holds."""
    offer, limit = offered(spot), per_host_of(contract)
    # A fixed port is there once.
    most = 1 if contract.dev.host_ports else limit and limit * versions
    each = offer.holds(asked(contract)) if offer else 0
    return each if most is None else min(each, most)


def _evenly(zones: Mapping[str, int]) -> int:
    """GROUP_BY starts an instance only where the fewest are: a full zone lets others have one more."""
    counted = [number for number in zones.values() if number]
    return sum(min(number, min(counted) + 1) for number in counted)
