"""What the site takes of each host, asked of the hosts themselves by every plan."""

from __future__ import annotations

from typing import Any

from constructs import Construct as Scope

from constructs_lib.libvirt.provider import provider_of
from constructs_lib.libvirt.settings import libvirt_of
from constructs_lib.plan.hosts import host_loads
from constructs_lib.plan.model import SitePlan
from constructs_lib.spec.hypervisor_uri import host_of
from constructs_lib.terraform import DataSource

KIB_PER_GIB = 2**20


def require_hosts(scope: Scope, plan: SitePlan) -> None:
    """A data source for each host, whose plan fails where the site's machines do not fit.

    Memory counts whole, since a host that swaps takes all of its machines along; cpus are shared, so only the
    largest machine counts. `libvirt.capacity` says more, and earlier.
    """
    for zone, load in zip(plan.zones, host_loads(plan), strict=True):
        who = f"The host of zone {zone.name}"
        DataSource(
            scope,
            f"host-{zone.name}",
            "libvirt_node_info",
            lifecycle={
                "postcondition": [
                    {
                        "condition": f"${{self.memory_total_kb >= {load.memory_gib * KIB_PER_GIB}}}",
                        "error_message": f"{who} has less memory than the {load.memory_gib} GiB of its "
                        f"{load.machines} machines: take fewer or smaller ones.",
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
