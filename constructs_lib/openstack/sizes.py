"""Sizes: a flavor by its name, or the one that has exactly these cpus and that memory."""

from __future__ import annotations

from typing import Any

from constructs import Construct as Scope

from constructs_lib.terraform import DataSource

MIB = 1024


def flavor(scope: Scope, cpus: int, memory_gib: int, named: str | None) -> dict[str, Any]:
    """The arguments of a machine that say its flavor; without `named` a data source below `scope` finds it.

    Its id and not its name: a flavor's name may be given to another one later.
    """
    if named:
        return {"flavor_name": named}
    # The plugin's search knows "at least" for memory only, and refuses more than one answer.
    found = DataSource(scope, "flavor", "openstack_compute_flavor_v2", vcpus=cpus, ram=memory_gib * MIB)
    return {"flavor_id": found.ref("id")}
