"""Sizes: a flavor by its name, if it is large enough, or the one of exactly these cpus and that memory."""

from __future__ import annotations

from typing import Any

from constructs import Construct as Scope

from constructs_lib.plan.hosts import Sized
from constructs_lib.spec.model import PoolSpec
from constructs_lib.terraform import DataSource, literal

MIB = 1024
LEAST_AGENT = (1, 2)
"""vCPUs and GiB of an agent at least: one GiB is the system's own, and tasks want some, too."""


def flavor(scope: Scope, spec: Sized, *, path: str) -> dict[str, Any]:
    """The arguments of a machine that say its flavor, which a data source below `scope` finds.

    Its id and not its name: a flavor's name may be given to another one later. `path` is where cluster.yaml
    says the size. A flavor by name has to have what `least` says, or every plan fails.
    """
    if spec.flavor:
        search: dict[str, Any] = {
            "name": spec.flavor,
            "lifecycle": {"postcondition": [_large_enough(spec, spec.flavor, path)]},
        }
    else:
        # The plugin's search knows "at least" for memory only, and refuses more than one answer.
        search = {"vcpus": spec.cpus, "ram": spec.memory_gib * MIB}
    found = DataSource(scope, "flavor", "openstack_compute_flavor_v2", **search)
    return {"flavor_id": found.ref("id")}


def least(spec: Sized) -> tuple[int, int]:
    """vCPUs and GiB that a flavor by name has to have: what the role has where cluster.yaml says nothing.

    The texts of a node are for that much, ZooKeeper's and Marathon's heaps among others. Agents' are for any.
    """
    return LEAST_AGENT if isinstance(spec, PoolSpec) else (spec.cpus, spec.memory_gib)


def _large_enough(spec: Sized, named: str, path: str) -> dict[str, str]:
    cpus, gib = least(spec)
    return {
        "condition": f"${{self.vcpus >= {cpus} && self.ram >= {gib * MIB}}}",
        "error_message": f"{literal(path)}.flavor: {literal(named)} has ${{self.vcpus}} vCPUs and "
        f"${{self.ram}} MiB, expected at least {cpus} and {gib * MIB}: name a larger one, or say cpus and "
        "memory_gib instead of flavor.",
    }
