"""The backup bucket: encrypted, versioned, private, aged out, reachable by TLS only.

Plugin 3.39.0 has encryption, versioning, lifecycle and logging only as blocks of aws_s3_bucket, 6.x
deprecates these in favour of resources that 3.39.0 lacks, but still takes them: the blocks are what both
accept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from constructs import Construct as Scope

from constructs_lib.aws.settings import aws_of
from constructs_lib.aws.tags import tags
from constructs_lib.components.model import Role
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.names import prefix
from constructs_lib.spec.keyless import partition
from constructs_lib.terraform import Construct, Resource
from constructs_lib.terraform.policy import accept

_LONGEST_PREFIX = 37
"""What both plugins take as bucket_prefix; AWS' names are global, so a fixed one could be anybody's."""
_OLD_VERSIONS_DAYS = 90
_BROKEN_UPLOAD_DAYS = 7
_OBJECTS = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]


class BackupBucket(Construct):
    """The bucket that backups go to; with `protect_data` it cannot be destroyed."""

    def __init__(self, scope: Scope, id: str, *, plan: SitePlan) -> None:
        super().__init__(scope, id)
        self._plan = plan
        self.bucket = self._bucket(plan)
        self._close()

    @property
    def name(self) -> str:
        """The bucket's name, as an expression."""
        return self.bucket.ref("id")

    def statements(self, role: Role) -> list[Mapping[str, Any]]:
        """IAM statements that let a role read and write below `<role>/` of the bucket."""
        return [*_below(self.bucket.ref("arn"), role.value, "OwnBackups"), *encryption(self._plan)]

    def _bucket(self, plan: SitePlan) -> Resource:
        bucket = Resource(
            self,
            "backup",
            "aws_s3_bucket",
            bucket_prefix=f"{prefix(plan)}-backup-"[:_LONGEST_PREFIX],
            force_destroy=not plan.protect_data,
            versioning={"enabled": True},
            server_side_encryption_configuration={
                "rule": {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": aws_of(plan).kms_key_arn,
                    }
                }
            },
            lifecycle_rule={
                "id": "age-out",
                "enabled": True,
                "abort_incomplete_multipart_upload_days": _BROKEN_UPLOAD_DAYS,
                "noncurrent_version_expiration": {"days": _OLD_VERSIONS_DAYS},
            },
            lifecycle={"prevent_destroy": True} if plan.protect_data else None,
            tags=tags(plan, "backup"),
        )
        accept(
            bucket,
            "CKV_AWS_144",
            "a copy in another region costs as much again; sites decide that for themselves",
        )
        accept(
            bucket,
            "CKV2_AWS_62",
            "nothing reacts to single objects here; failed backups raise an alert instead",
        )
        # A log bucket of our own would be one more to guard, and S3 delivers logs to none with KMS keys.
        accept(
            bucket,
            "CKV_AWS_18",
            "who reads objects is a matter of the account's CloudTrail, which is complete; S3's logs are not",
        )
        return bucket

    def _close(self) -> None:
        closed = Resource(
            self,
            "backup-private",
            "aws_s3_bucket_public_access_block",
            bucket=self.bucket.ref("id"),
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        Resource(
            self,
            "backup-policy",
            "aws_s3_bucket_policy",
            bucket=self.bucket.ref("id"),
            policy=json.dumps({"Version": "2012-10-17", "Statement": [_tls_only(self.bucket)]}),
            # S3 refuses two changes of a bucket's access at the same time.
            depends_on=[closed],
        )


def target_statements(plan: SitePlan, role: Role) -> list[Mapping[str, Any]]:
    """IAM statements for a role's folders in the buckets of targets that have no credentials."""
    found: list[Mapping[str, Any]] = []
    for number, right in enumerate((each for each in plan.backup_rights if role in each.roles), start=1):
        arn, name = f"arn:{partition(aws_of(plan).region)}:s3:::{right.bucket}", f"BackupTarget{number}"
        found += _below(arn, right.folder, name)
        # A client that isn't told the region asks for it first.
        found.append(_statement(f"Locate{name}", "Allow", "s3:GetBucketLocation", arn))
        if right.without:
            found.append(_statement(f"NotIn{name}", "Deny", _OBJECTS, f"{arn}/{right.without}/*"))
    return found


def encryption(plan: SitePlan) -> list[Mapping[str, Any]]:
    """The statement for objects that S3 encrypts under the site's own key; none where it has none."""
    aws = aws_of(plan)
    if aws.kms_key_arn is None:
        return []
    via = {"StringEquals": {"kms:ViaService": f"s3.{aws.region}.amazonaws.com"}}
    actions = ["kms:Decrypt", "kms:GenerateDataKey"]
    return [{**_statement("EncryptThem", "Allow", actions, aws.kms_key_arn), "Condition": via}]


def _below(arn: str, folder: str, name: str) -> list[Mapping[str, Any]]:
    """Read, write and list below a folder: who may list is told that something is not there, not 403."""
    listing = _statement(f"List{name}", "Allow", "s3:ListBucket", arn)
    return [
        _statement(name, "Allow", _OBJECTS, f"{arn}/{folder}/*"),
        {**listing, "Condition": {"StringLike": {"s3:prefix": f"{folder}/*"}}},
    ]


def _statement(name: str, effect: str, action: str | list[str], resource: str) -> dict[str, Any]:
    return {"Sid": name, "Effect": effect, "Action": action, "Resource": resource}


def _tls_only(bucket: Resource) -> Mapping[str, Any]:
    arn = bucket.ref("arn")
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        # Means the same as "*" alone, which the API double does not understand.
        "Principal": {"AWS": "*"},
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
