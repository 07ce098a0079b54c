"""libvirt's words for a roll: which resources are machines, and the machines of a pool."""

from __future__ import annotations

from constructs_lib.access.machines import Kinds
from constructs_lib.sites.deployed_pool import agent_group

__all__ = ["KINDS", "agent_group"]

KINDS = Kinds(
    # Domain, root disk, cloud-init drive and secrets are replaced with it; see guests.py.
    machines=("terraform_data",),
    # The fetch of an image and the run of the hooks are terraform_data too.
    told_by_address=True,
    # None by its type: root disks are volumes too. A data volume refers to no machine: it is no part of one.
    kept=(),
    address="input/address",
    # The plugin keeps them in TMPDIR; what a machine reads is the volume they were uploaded to.
    fleeting=("libvirt_cloudinit_disk",),
)
