"""What the site takes of each host, asked of the hosts themselves by every plan."""

from __future__ import annotations

from typing import Any

from constructs import Construct as Scope

from constructs_lib.libvirt.provider import provider_of
from constructs_lib.libvirt.settings import libvirt_of
from constructs_lib.plan.hosts import HostLoad, host_loads
from constructs_lib.plan.model import SitePlan
from constructs_lib.spec.hypervisor_uri import host_of
from constructs_lib.terraform import DataSource

KIB_PER_GIB = 2**20
OWN_GIB = 1.0
"""Memory that a host keeps for its own system and libvirtd."""
BESIDE_GIB = 0.25
"""Memory of a machine's QEMU process beside the machine's own: page tables, device buffers, the program."""


def require_hosts(scope: Scope, plan: SitePlan) -> None:
    """A data source for each host, whose plan fails where the site's machines do not fit.

    Memory counts whole, with what QEMU and the host itself need, since a host that swaps takes all of its
    machines along; cpus are shared, so only the largest machine counts. What else runs there is not counted.
    `libvirt.capacity` says more, and earlier, and its `memory_gib` is what is left of the host.
    """
    said = libvirt_of(plan).capacity.memory_gib is not None
    for zone, load in zip(plan.zones, host_loads(plan), strict=True):
        who = f"The host of zone {zone.name}"
        needed = load.memory_gib + (0 if said else OWN_GIB + BESIDE_GIB * load.machines)
        DataSource(
            scope,
            f"host-{zone.name}",
            "libvirt_node_info",
            lifecycle={
                "postcondition": [
                    {
                        "condition": f"${{self.memory_total_kb >= {int(needed * KIB_PER_GIB)}}}",
                        "error_message": f"{who} has less memory than {_too_little(load, needed)}",
                    },
                    {
                        "condition": f"${{self.cpu_cores_total >= {load.widest}}}",
                        "error_message": f"{who} has fewer CPUs than its largest machine, which has "
                        f"{load.widest}: take smaller ones.",
                    },
                ]
            },
            provider=provider_of(scope, plan, zone),
        )


def _too_little(load: HostLoad, needed: float) -> str:
    machines = f"the {load.memory_gib} GiB of its {load.machines} machines"
    way_out = "take fewer or smaller ones"
    if needed == load.memory_gib:
        return f"{machines}: {way_out}."
    return (
        f"{machines}, {OWN_GIB:g} GiB for itself and {BESIDE_GIB:g} GiB beside each for QEMU ({needed:.2f} "
        f"GiB): {way_out}, or say in libvirt.capacity.memory_gib what it has for them."
    )


def hosts(plan: SitePlan) -> dict[str, dict[str, Any]]:
    """Zone → its host, and what the site takes of it, for the stack's output."""
    uris = libvirt_of(plan).hosts
    return {
        load.zone: {
            "host": host_of(uri),
            "machines": load.machines,
            "cpus": load.cpus,
            "memory_gib": load.memory_gib,
            "disk_gib": load.disk_gib,
        }
        for load, uri in zip(host_loads(plan), uris, strict=True)
    }
