from __future__ import annotations

import base64
import gzip
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.aws import Secrets
from constructs_lib.aws.secrets import FETCH_PATH, secret_source
from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.nodes.generation import INCOMING
from constructs_lib.terraform import TerraformStack
from tests.aws.clusters import (
    CASES,
    Json,
    cluster_stack,
    only,
    plan_of,
    resources,
    settings,
    site_plan,
    synthesize,
)
from tests.components.platform_backup_here import FIELDS
from tests.conftest import AwsDouble


@pytest.mark.parametrize("case", CASES)
def test_every_secret_is_a_sensitive_variable_of_its_name_and_an_encrypted_parameter(case: str) -> None:
    site = site_plan(case)
    stack = cluster_stack(site)

    assert sorted(stack["variable"]) == sorted(secret.name for secret in site.secrets)
    assert all(variable["sensitive"] is True for variable in stack["variable"].values())
    for secret in site.secrets:
        parameter = only(stack, "aws_ssm_parameter", secret.name)
        assert parameter["type"] == "SecureString"
        assert parameter["name"] == f"/{site.cluster}/{site.name}/{secret.name}"
        assert parameter["value"] == f"${{var.{secret.name}}}"


def test_a_customers_key_encrypts_the_parameters() -> None:
    found = [body for name, body in resources(cluster_stack(site_plan("whole"))).items() if "aws_ssm" in name]

    assert all(body["key_id"].startswith("arn:aws:kms:") for body in found)


def test_only_the_secrets_of_the_roles_asked_for_are_kept() -> None:
    stack = synthesize(lambda stack: Secrets(stack, "s", plan=site_plan(), roles=[Role.GATEWAY]))

    assert list(stack["variable"]) == ["gateway_ssh_host_key_eu"]


def test_a_value_from_elsewhere_needs_no_variable() -> None:
    values = {secret.name: "${var.other}" for secret in site_plan().secrets}
    values["gateway_ssh_host_key_eu"] = "${data.vault.key}"

    stack = synthesize(lambda stack: Secrets(stack, "s", plan=site_plan(), values=values))

    assert "variable" not in stack
    assert only(stack, "aws_ssm_parameter", "gateway_ssh_host_key_eu")["value"] == "${data.vault.key}"


def test_masters_and_consul_nodes_alone_share_the_secrets_that_both_read() -> None:
    def build(stack: TerraformStack) -> None:
        for role in (Role.MASTER, Role.CONSUL):
            Secrets(stack, role.value, plan=site_plan(), roles=[role], shared=True)

    names = list(synthesize(build)["variable"])

    assert len(names) == len(set(names))
    assert {"consul_gossip_key", "consul_management_token_eu", "zookeeper_super_password"} < set(names)


def test_a_value_for_a_secret_that_the_plan_lacks_is_refused() -> None:
    with pytest.raises(SpecError, match=r"typo.*gateway_ssh_host_key_eu"):
        synthesize(lambda stack: Secrets(stack, "s", plan=site_plan(), values={"typo": "x"}))


def test_nodes_ask_ssm_in_their_region_below_their_site() -> None:
    source = secret_source(site_plan())

    assert source.command == f"{FETCH_PATH} --region eu-west-3 --prefix /demo/eu/"
    assert [(file.path, file.mode) for file in source.files] == [(FETCH_PATH, 0o755)]
    assert source.packages == ("python3-boto3",)


CUT = r"\$\{substr\(base64gzip\(local\.carried\.v[0-9a-f]{12}\), each.value, (\d+)\)\}"


def kept(stack: Json) -> dict[str, str]:
    """Parameter name → value, as Terraform's functions give them."""
    whole = base64.b64encode(gzip.compress(carried_by(stack).encode(), 6)).decode()
    found = only(stack, "aws_ssm_parameter", "program")
    cut = re.fullmatch(CUT, found["value"])
    assert cut
    starts = {part: int(start) for part, start in found["for_each"].items()}
    names = {part: found["name"].replace("${each.key}", part) for part in starts}
    parts = {names[part]: whole[start : start + int(cut[1])] for part, start in starts.items()}
    assert "".join(parts.values()) == whole
    return parts


def carried_by(stack: Json) -> str:
    text: str
    [text] = stack["locals"]["carried"].values()
    return text.replace("$${", "${").replace("%%{", "%{")


@pytest.mark.parametrize(("more", "count"), [({}, 4), (FIELDS, 5)])
def test_what_is_carried_is_kept_whole_in_parts_that_a_parameter_takes(
    more: dict[str, Any], count: int
) -> None:
    parts = kept(cluster_stack(plan_of(settings("demo") | more)))

    assert len(parts) == count
    assert all(0 < len(part) <= 4_000 for part in parts.values())


def test_boto3_that_a_power_cut_left_half_installed_is_installed_at_the_next_try(tmp_path: Path) -> None:
    doubles = {
        "dpkg": "touch configured",
        "apt-get": "[ -e configured ] || exit 100; [ $2 != -y ] || touch installed",
        "python3": "case $1 in -c) [ -e installed ] ;; *) [ -e installed ] && echo part ;; esac",
        "base64": "cat",
        "gzip": "cat",
    }
    for name, script in doubles.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n# Double of {name}.\n{script}\n")
        (tmp_path / name).chmod(0o755)

    done = subprocess.run(
        ["sh", "-ec", secret_source(site_plan()).bundle],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.defpath}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.split() == ["part"] * 4, done.stderr


@pytest.mark.slow
def test_a_machine_that_has_only_its_user_data_gets_what_is_carried(embedded_aws: AwsDouble) -> None:
    """The very command of the user data, against a real SSM protocol (the double's)."""
    site, stack = site_plan(), cluster_stack(site_plan())
    text = carried_by(stack)
    for name, value in kept(stack).items():
        embedded_aws.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString")
    script = Path(__file__).parents[2] / "cloud-init" / "aws" / "fetch-secret"
    command = secret_source(site).bundle.replace(f"{INCOMING}/files{FETCH_PATH}", str(script))
    command = command.replace("--seconds 5", f"--seconds 5 --endpoint-url {embedded_aws.endpoint}")
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    path = f"{Path(sys.executable).parent}:{os.defpath}"

    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=False, env=keys | {"PATH": path}
    )

    assert done.stdout == text, done.stderr
    assert text.startswith("#:/usr/local/sbin/clustermesos-apply\n#!/usr/bin/python3\n")
