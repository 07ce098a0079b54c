"""libvirt's words for a roll: which resources are machines, and the machines of a pool."""

from __future__ import annotations

from constructs_lib.access.machines import Kinds
from constructs_lib.sites.deployed_pool import agent_group

__all__ = ["KINDS", "agent_group"]

KINDS = Kinds(
    # Domain, root disk, cloud-init drive and secrets are replaced with it; see guests.py.
    machines=("terraform_data",),
    # None by its type: root disks are volumes too. A data volume refers to no machine: it is no part of one.
    kept=(),
    address="input/address",
)
