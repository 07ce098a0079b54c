"""OpenStack's words for a roll: which resources are machines, and the machines of a pool."""

from __future__ import annotations

from constructs_lib.access.machines import Kinds
from constructs_lib.openstack.machines import ADDRESS
from constructs_lib.sites.deployed_pool import agent_group

__all__ = ["KINDS", "agent_group"]

KINDS = Kinds(
    machines=("openstack_compute_instance_v2",),
    kept=("openstack_blockstorage_volume_v3",),
    # The machine's own addresses are known only after it was made.
    address=f"metadata/{ADDRESS}",
)
