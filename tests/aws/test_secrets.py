from __future__ import annotations

import pytest

from constructs_lib.aws import Secrets
from constructs_lib.aws.secrets import FETCH_PATH, secret_source
from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.terraform import TerraformStack
from tests.aws.clusters import CASES, cluster_stack, only, resources, site_plan, synthesize


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
