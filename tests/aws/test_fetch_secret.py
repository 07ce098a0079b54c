"""The script that runs on a node, against a real SSM protocol (the double's)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import AwsDouble

SCRIPT = Path(__file__).parents[2] / "cloud-init" / "aws" / "fetch-secret"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"


def fetch(endpoint: str, name: str, *more: str, **environ: str) -> subprocess.CompletedProcess[str]:
    own = {
        "PATH": os.defpath,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--region", "eu-west-3", "--prefix", "/demo/eu/"),
            *("--endpoint-url", endpoint, *more, name),
        ],
        env=own | environ,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.mark.slow
def test_it_prints_the_decrypted_value_and_nothing_else(embedded_aws: AwsDouble) -> None:
    embedded_aws.client("ssm").put_parameter(Name="/demo/eu/key", Value=KEY, Type="SecureString")

    done = fetch(embedded_aws.endpoint, "key")

    assert (done.returncode, done.stdout, done.stderr) == (0, KEY, "")


@pytest.mark.slow
def test_it_waits_for_a_parameter_that_is_still_on_its_way(embedded_aws: AwsDouble) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, str(SCRIPT), "--region", "eu-west-3", "--prefix", "/demo/eu/"),
            *("--endpoint-url", embedded_aws.endpoint, "late"),
        ],
        env={"PATH": os.defpath, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "ParameterNotFound" in process.stderr.readline()
    embedded_aws.client("ssm").put_parameter(Name="/demo/eu/late", Value="at last", Type="SecureString")

    output, _ = process.communicate(timeout=180)

    assert (process.returncode, output) == (0, "at last")


@pytest.mark.slow
def test_it_gives_up_in_bounded_time_and_says_what_it_waited_for(embedded_aws: AwsDouble) -> None:
    done = fetch(embedded_aws.endpoint, "never", "--seconds", "2")

    assert done.returncode == 1
    assert done.stdout == ""
    assert "/demo/eu/never" in done.stderr.splitlines()[-1]
    assert "gave up after 2 s" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_machine_without_a_role_is_told_so_without_a_traceback(embedded_aws: AwsDouble) -> None:
    done = fetch(
        embedded_aws.endpoint, "key", "--seconds", "1", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY=""
    )

    assert done.returncode == 1
    assert "credentials" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_endpoint_that_is_down_does_not_hold_it(embedded_aws: AwsDouble) -> None:
    done = fetch("http://127.0.0.1:9", "key", "--seconds", "2")

    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
