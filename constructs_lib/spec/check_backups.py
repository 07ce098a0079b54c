"""A backup target without credentials is one on which the nodes that use it can have rights of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from constructs_lib.spec.findings import Check, Finding, Settings
from constructs_lib.spec.keyless import (
    BucketFolder,
    applications_use,
    at_amazon,
    bucket_folder,
    partition,
    platform_uses,
)
from constructs_lib.spec.wording import one_of, show

if TYPE_CHECKING:
    from constructs_lib.spec.model import ClusterSpec

_KINDS = ("s3", "swift", "azure", "gs", "b2")
"""The stores of restic that nobody gets into by the address alone."""
_KEYS = "`credentials: {AWS_ACCESS_KEY_ID: backup/key-id, AWS_SECRET_ACCESS_KEY: backup/key}`"
_OTHER_KEYS = "restic's variables for it, such as `credentials: {VARIABLE: backup/key}`"
_NOT_PLAIN = "which rights can't name"
_PLAIN = "`s3:https://s3.REGION.amazonaws.com/BUCKET/FOLDER` in plain letters"


def _keyless(settings: Settings) -> Iterator[Finding]:
    cluster = settings.cluster
    names = ("backups", "app_secrets", "platform_backup", "sites")
    if not all(settings.intact(name) for name in names):
        return
    for name, target in cluster.backups.items():
        kind = target.repository.partition(":")[0]
        if target.credentials or kind not in _KINDS:
            continue
        wrong = _wrong(cluster, name, target.repository)
        if wrong:
            keys = _KEYS if kind == "s3" else _OTHER_KEYS
            instead = f"{_PLAIN}, or {keys}" if wrong is _NOT_PLAIN else keys
            yield Finding(
                ("backups", name),
                f"got {show(target.repository)} without credentials, {wrong}; expected {instead}, named in "
                "app_secrets",
            )


def _wrong(cluster: ClusterSpec, name: str, repository: str) -> str | None:
    """Why nodes have no rights there."""
    if not at_amazon(repository):
        return "where nodes have no rights of their own: Amazon's S3 alone gives some, to AWS' machines"
    folder = bucket_folder(repository)
    if folder is None:
        return _NOT_PLAIN
    strangers = _strangers(cluster, name, folder)
    if not strangers:
        return None
    return (
        f"where nodes of {one_of(strangers)} would save: AWS' machines of the partition {folder.partition} "
        "alone can be given rights there"
    )


def _strangers(cluster: ClusterSpec, name: str, folder: BucketFolder) -> list[str]:
    """The sites whose nodes use the target and are unknown to Amazon there, with what they are."""
    users = [cluster.home] if applications_use(cluster, cluster.backups[name]) else []
    users = list(cluster.sites) if platform_uses(cluster, name) else users
    found = []
    for user in users:
        site = cluster.sites[user]
        if site.aws is None:
            found.append(f"{user} ({site.facts.title})")
        elif partition(site.aws.region) != folder.partition:
            found.append(f"{user} ({site.aws.region})")
    return found


CHECKS: tuple[Check, ...] = (_keyless,)
