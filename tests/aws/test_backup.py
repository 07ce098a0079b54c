from __future__ import annotations

import json

from constructs_lib.aws import BackupBucket
from tests.aws.clusters import Json, only, site_plan, synthesize


def bucket(case: str = "whole") -> Json:
    return synthesize(lambda stack: BackupBucket(stack, "b", plan=site_plan(case)))


def test_backups_are_encrypted_versioned_and_aged_out() -> None:
    body = only(bucket(), "aws_s3_bucket", "backup")

    rule = body["server_side_encryption_configuration"]["rule"]["apply_server_side_encryption_by_default"]
    assert rule["sse_algorithm"] == "aws:kms"
    assert rule["kms_master_key_id"].startswith("arn:aws:kms:")
    assert body["versioning"] == {"enabled": True}
    assert body["lifecycle_rule"]["enabled"] is True


def test_nothing_about_the_bucket_is_public() -> None:
    block = only(bucket(), "aws_s3_bucket_public_access_block")

    assert {value for key, value in block.items() if key.startswith(("block", "ignore", "restrict"))} == {
        True
    }


def test_the_bucket_speaks_tls_only() -> None:
    policy = json.loads(only(bucket(), "aws_s3_bucket_policy")["policy"])

    deny = policy["Statement"][0]
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert len(deny["Resource"]) == 2


def test_protected_backups_cannot_be_destroyed_with_the_cluster() -> None:
    kept, lost = only(bucket("whole"), "aws_s3_bucket"), only(bucket("demo"), "aws_s3_bucket")

    assert kept["lifecycle"]["prevent_destroy"] is True and kept["force_destroy"] is False
    assert "lifecycle" not in lost and lost["force_destroy"] is True
