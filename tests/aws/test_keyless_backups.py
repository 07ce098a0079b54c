"""Backup jobs to a target without credentials: real jobs, real restic, and the policy that agents have."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.clusters import cluster_stack, only, site_plan
from tests.aws.policy_gate import Asked, Gate, Statement, actions, gate
from tests.conftest import AwsDouble
from tests.contracts.backups import Machine, machine

BUCKET = "whole-backups"
FOLDER = "nightly/whole"
BUCKETS_ARN = f"arn:aws:s3:::{BUCKET}"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def policy() -> list[Statement]:
    """What agents of a cluster with such a target may do."""
    stack = cluster_stack(site_plan("whole"))
    found: list[Statement] = json.loads(only(stack, "aws_iam_role_policy", "agent-policy")["policy"])[
        "Statement"
    ]
    return found


@pytest.fixture
def amazon(embedded_aws: AwsDouble, policy: list[Statement]) -> Iterator[Gate]:
    """S3 with the bucket, behind that policy."""
    where = {"LocationConstraint": "eu-west-3"}
    embedded_aws.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    with gate(embedded_aws.port, policy) as found:
        yield found


@pytest.fixture
def shop(tmp_path: Path) -> Machine:
    found = machine(tmp_path)
    (found.data / "order").write_text("three apples", encoding="utf-8")
    for path in (found.data / "order", found.data):
        os.utime(path, (time.time() - 3600,) * 2)
    return found


def run(
    shop: Machine, job: str, amazon: Gate, folder: str = f"{FOLDER}/shop"
) -> subprocess.CompletedProcess[str]:
    """A job with its repository there; that keys come from the machine's role is another test's matter."""
    return shop.run(
        job,
        RESTIC_REPOSITORY=f"s3:http://127.0.0.1:{amazon.port}/{BUCKET}/{folder}",
        AWS_ACCESS_KEY_ID="role",
        AWS_SECRET_ACCESS_KEY="role",
        NO_PROXY="127.0.0.1",
    )


def first_backup(shop: Machine, amazon: Gate) -> None:
    """Makes the repository, too. Whether the bucket is there may not be asked, and needs not be answered: but
    restic before 0.15 gives up there (restic#4085). Jobs run 0.17 or newer, Debian 12 has 0.14.
    """
    policy = amazon.policy
    version = subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout
    if int(version.split()[1].split(".")[1]) < 15:
        amazon.policy = [*policy, {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": BUCKETS_ARN}]
    done = run(shop, "backup", amazon)
    amazon.policy = policy
    assert done.returncode == 0, done.stderr
    assert set(amazon.denied) <= {Asked("s3:ListBucket", BUCKETS_ARN)}
    amazon.asked.clear()
    amazon.denied.clear()


def test_every_job_does_its_work_with_the_rights_that_agents_have_and_needs_each(
    shop: Machine, amazon: Gate, policy: list[Statement]
) -> None:
    first_backup(shop, amazon)
    for job in ("backup", "restore-test", "forget", "check", "restore"):
        done = run(shop, job, amazon)
        assert done.returncode == 0, f"{job}: {done.stderr}"
    assert amazon.denied == []
    ours = [each for each in policy if each["Effect"] == "Allow" and "BackupTarget" in each["Sid"]]
    assert {asked.action for asked in amazon.asked} == {action for each in ours for action in actions(each)}


@pytest.mark.parametrize("folder", ["nightly/other/shop", f"{FOLDER}/_platform/eu/consul-1", "shop"])
def test_nobody_elses_folder_is_open(shop: Machine, amazon: Gate, folder: str) -> None:
    done = run(shop, "backup", amazon, folder)
    assert done.returncode != 0
    assert any(asked.resource.endswith(f"{folder}/config") for asked in amazon.denied), amazon.denied


def test_without_the_right_to_list_what_is_not_there_looks_forbidden(
    shop: Machine, amazon: Gate, policy: list[Statement]
) -> None:
    first_backup(shop, amazon)
    amazon.policy = [each for each in policy if each["Action"] != "s3:ListBucket"]
    done = run(shop, "backup", amazon, f"{FOLDER}/other")
    assert done.returncode != 0 and "no repository at" in done.stderr
    assert Asked("s3:ListBucket", BUCKETS_ARN, f"{FOLDER}/other/config") in amazon.denied
