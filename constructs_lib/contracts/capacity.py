"""What agents offer and how many instances they hold, from the plan alone.

An agent offers less than its machine has (`mesos-agent-config`); this is the same formula over what an
operating system sees of the nominal size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from constructs_lib.contracts.model import AppContract
from constructs_lib.contracts.placement import Spot, per_host_of

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

    `versions` beside each other: Marathon counts instances on an agent for each of them apart.
    """
    limit = per_host_of(contract)
    # A fixed port is there once.
    most = 1 if contract.dev.host_ports else limit and limit * versions
    agents, largest = 0, 0
    for spot in allowed:
        offer = offered(spot)
        if offer is None:
            return None
        each = offer.holds(asked(contract))
        each = each if most is None else min(each, most)
        agents += spot.pool.max * each
        largest = max(largest, each)
    return min(agents, len(contract.ops.nodes) * largest) if contract.ops.nodes else agents
