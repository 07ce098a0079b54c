"""The backup bucket: encrypted, versioned, private, aged out, reachable by TLS only.

Plugin 3.39.0 has encryption, versioning, lifecycle and logging only as blocks of aws_s3_bucket, 6.x deprecates these in
favour of resources that 3.39.0 lacks, but still takes them: the blocks are what both accept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from constructs_lib.aws.settings import aws_of, prefix
from constructs_lib.aws.tags import tags
from constructs_lib.components.model import Role
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import Construct, Resource
from constructs_lib.terraform.policy import accept

_LONGEST_PREFIX = 37
"""What both plugins take as bucket_prefix; AWS' names are global, so a fixed one could be anybody's."""
_OLD_VERSIONS_DAYS = 90
_ACCESS_LOG_DAYS = 365
_BROKEN_UPLOAD_DAYS = 7


class BackupBucket(Construct):
    """A bucket for backups, and one for its access log; with `protect_data` neither can be destroyed."""

    def __init__(self, scope: Construct, id: str, *, plan: SitePlan) -> None:
        super().__init__(scope, id)
        self._key = aws_of(plan).kms_key_arn
        self._region = aws_of(plan).region
        log = self._bucket(
            plan,
            "access-log",
            encryption={"sse_algorithm": "AES256"},
            rule={"expiration": {"days": _ACCESS_LOG_DAYS}, "noncurrent_version_expiration": {"days": 1}},
        )
        accept(log, "CKV_AWS_18", "this is the bucket that access logs are written to; logging itself would never end")
        accept(log, "CKV_AWS_145", "S3 delivers access logs only to buckets with its own keys, not to KMS ones")
        # S3 checks that it may write before it accepts a bucket as the target of a log.
        writable = self._close(log, "access-log", [_delivery(log, plan)])
        self.bucket = self._bucket(
            plan,
            "backup",
            encryption={"sse_algorithm": "aws:kms", "kms_master_key_id": self._key},
            rule={"noncurrent_version_expiration": {"days": _OLD_VERSIONS_DAYS}},
            logging={"target_bucket": log.ref("id"), "target_prefix": "backup/"},
            depends_on=[writable],
        )
        self._close(self.bucket, "backup", [])

    @property
    def name(self) -> str:
        """The bucket's name, as an expression."""
        return self.bucket.ref("id")

    def statements(self, role: Role) -> list[Mapping[str, Any]]:
        """IAM statements that let a role read and write below `<role>/` of the bucket."""
        arn = self.bucket.ref("arn")
        objects = {
            "Sid": "OwnBackups",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            "Resource": f"{arn}/{role}/*",
        }
        listing = {
            "Sid": "ListOwnBackups",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": arn,
            "Condition": {"StringLike": {"s3:prefix": f"{role}/*"}},
        }
        if self._key is None:
            return [objects, listing]
        via = {"StringEquals": {"kms:ViaService": f"s3.{self._region}.amazonaws.com"}}
        keys = {
            "Sid": "EncryptThem",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": self._key,
            "Condition": via,
        }
        return [objects, listing, keys]

    def _bucket(
        self, plan: SitePlan, name: str, *, encryption: Mapping[str, Any], rule: Mapping[str, Any], **more: Any
    ) -> Resource:
        bucket = Resource(
            self,
            name,
            "aws_s3_bucket",
            bucket_prefix=_bucket_prefix(plan, name),
            force_destroy=not plan.protect_data,
            versioning={"enabled": True},
            server_side_encryption_configuration={
                "rule": {"apply_server_side_encryption_by_default": encryption}
            },
            lifecycle_rule={
                "id": "age-out",
                "enabled": True,
                "abort_incomplete_multipart_upload_days": _BROKEN_UPLOAD_DAYS,
                **rule,
            },
            lifecycle={"prevent_destroy": True} if plan.protect_data else None,
            tags=tags(plan, name),
            **more,
        )
        accept(bucket, "CKV_AWS_144", "a copy in another region costs as much again; sites decide that for themselves")
        accept(bucket, "CKV2_AWS_62", "nothing reacts to single objects here; failed backups raise an alert instead")
        return bucket

    def _close(self, bucket: Resource, name: str, statements: list[Mapping[str, Any]]) -> Resource:
        closed = Resource(
            self,
            f"{name}-private",
            "aws_s3_bucket_public_access_block",
            bucket=bucket.ref("id"),
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        return Resource(
            self,
            f"{name}-policy",
            "aws_s3_bucket_policy",
            bucket=bucket.ref("id"),
            policy=json.dumps({"Version": "2012-10-17", "Statement": [_tls_only(bucket), *statements]}),
            # S3 refuses two changes of a bucket's access at the same time.
            depends_on=[closed],
        )


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


def _delivery(log: Resource, plan: SitePlan) -> Mapping[str, Any]:
    """Lets S3 itself write the backup bucket's access log; ACLs, the older way, are off in new buckets.

    The bucket is named by its prefix: its whole name would be known only after this statement is needed.
    """
    return {
        "Sid": "AccessLogDelivery",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": ["s3:PutObject"],
        "Resource": f"{log.ref('arn')}/backup/*",
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:*:s3:::{_bucket_prefix(plan, 'backup')}*"}},
    }


def _bucket_prefix(plan: SitePlan, name: str) -> str:
    return f"{prefix(plan)}-{name}-"[:_LONGEST_PREFIX]
