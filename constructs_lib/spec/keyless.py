"""Backup targets without credentials: which are in Amazon's S3, where machines have rights; who uses them.

An address is taken apart as restic does it (`internal/backend/s3/config.go`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from constructs_lib.spec.terms import BackupTargetSpec

if TYPE_CHECKING:
    from constructs_lib.spec.model import ClusterSpec

_SCHEME = r"s3:(https?://|//)?"
_REGION = r"[a-z]{2}(-[a-z]+)+-\d"
_HOST = rf"s3(-fips|-external-1)?(\.dualstack)?([.-](?P<region>{_REGION}))?\.amazonaws\.com(\.cn)?(:\d+)?"
_BUCKET = r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"
# Nothing that stands for something else in a policy (* ? $) or in an address (% #).
_PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.=@+-]+"
_ADDRESS = re.compile(rf"{_SCHEME}{_HOST}/{_BUCKET}(/(?P<folder>{_PART}(/{_PART})*))?/?")
_AT_AMAZON = re.compile(rf"{_SCHEME}[^/]*\.amazonaws\.com(\.cn)?(:\d+)?(/.*)?", re.IGNORECASE)


@dataclass(frozen=True)
class BucketFolder:
    """`folder` in `bucket` of Amazon's S3; the whole bucket where it is empty."""

    bucket: str
    folder: str
    partition: str
    """Which of Amazon's clouds it is in: none knows a machine of the others."""


def partition(region: str) -> str:
    """What ARNs of an AWS region begin with: aws, aws-cn or aws-us-gov."""
    return next((f"aws-{apart}" for apart in ("cn", "us-gov") if region.startswith(f"{apart}-")), "aws")


def bucket_folder(repository: str) -> BucketFolder | None:
    """The folder that a repository's address names; None where that is not at Amazon, or not plain enough."""
    found = _ADDRESS.fullmatch(repository)
    return found and BucketFolder(found["bucket"], found["folder"] or "", partition(found["region"] or ""))


def at_amazon(repository: str) -> bool:
    """Whether the address is one of Amazon's S3, plain or not."""
    return _AT_AMAZON.fullmatch(repository) is not None


def applications_use(cluster: ClusterSpec, target: BackupTargetSpec) -> bool:
    """Whether agents of the home site, where backup jobs run, have the target's password."""
    secret = cluster.app_secrets.get(target.password)
    home = cluster.sites.get(cluster.home)
    return secret is not None and home is not None and any(pool in home.agents for pool in secret.pools)


def platform_uses(cluster: ClusterSpec, target: str) -> bool:
    """Whether the platform's own state goes there, from nodes of every site."""
    return cluster.platform_backup is not None and cluster.platform_backup.to == target
