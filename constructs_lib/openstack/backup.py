"""A container for backups in the cloud's own object store, where cluster.yaml asks for one.

Only the project's own users read and write it. No credential is made here: machines have no identity that the
store knows, so whoever backs up brings keys that an operator made (docs/openstack.md), as a secret of
applications and never in a file that is generated.
"""

from __future__ import annotations

from constructs import Construct as Scope

from constructs_lib.openstack.settings import openstack_of
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.names import prefix
from constructs_lib.terraform import Construct, Resource


class BackupBucket(Construct):
    """The container that backups go to; with `protect_data` it can't be destroyed.

    By Swift's API, which Ceph's gateway has too; S3's sees the same container as a bucket of that name.
    """

    def __init__(self, scope: Scope, id: str, *, plan: SitePlan) -> None:
        super().__init__(scope, id)
        openstack_of(plan)
        self._container = Resource(
            self,
            "Resource",
            "openstack_objectstorage_container_v1",
            name=f"{prefix(plan)}-backup",
            force_destroy=not plan.protect_data,
            # Versions are Swift's alone: Ceph takes the word and forgets it; every plan would set it.
            lifecycle={"prevent_destroy": True} if plan.protect_data else None,
        )

    @property
    def name(self) -> str:
        """The container's name, as an expression."""
        return self._container.ref("id")
