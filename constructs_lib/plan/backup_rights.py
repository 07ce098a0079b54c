"""Which nodes of a site back up to a bucket of Amazon's S3 by their own role, and what of it is theirs."""

from __future__ import annotations

from collections.abc import Iterator

from constructs_lib.components.model import Role
from constructs_lib.components.platform_backup import PLATFORM_BACKUP
from constructs_lib.plan.model import BackupRight
from constructs_lib.spec.keyless import applications_use, bucket_folder, platform_uses
from constructs_lib.spec.model import ClusterSpec

PLATFORMS_OWN = "_platform"
"""The folder of the platform's own backups below the cluster's; no contract is called so."""


def backup_rights(spec: ClusterSpec, site: str) -> tuple[BackupRight, ...]:
    """One for each folder and group of roles: what targets without credentials need at this site."""
    if spec.sites[site].aws is None:
        return ()
    # Two targets in one folder, under different passwords, need the same.
    return tuple(dict.fromkeys(_rights(spec, site)))


def _rights(spec: ClusterSpec, site: str) -> Iterator[BackupRight]:
    for name, target in spec.backups.items():
        found = None if target.credentials else bucket_folder(target.repository)
        if found is None:
            continue
        folder = f"{found.folder}/{spec.name}".removeprefix("/")
        own = f"{folder}/{PLATFORMS_OWN}"
        if site == spec.home and applications_use(spec, target):
            yield BackupRight(bucket=found.bucket, folder=folder, roles=(Role.AGENT,), without=own)
        if platform_uses(spec, name):
            yield BackupRight(
                bucket=found.bucket, folder=f"{own}/{site}", roles=PLATFORM_BACKUP.roles, without=None
            )
