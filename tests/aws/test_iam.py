from __future__ import annotations

import dataclasses
import json
import re

import pytest

from constructs_lib.aws import NodeAccess
from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from tests.aws.clusters import CASES, Json, cluster_stack, only, resources, site_plan, synthesize


def statements(stack: Json, role: str) -> list[Json]:
    policy = only(stack, "aws_iam_role_policy", f"{role}-policy")["policy"]
    found: list[Json] = json.loads(policy)["Statement"]
    return found


@pytest.mark.parametrize("case", CASES)
def test_each_role_reads_exactly_its_own_secrets(case: str) -> None:
    site = site_plan(case)
    stack = cluster_stack(site)

    for role in {Role.AGENT, *(node.role for node in site.nodes)}:
        names = [secret.name for secret in site.secrets_of(role)]
        assert names
        read = next(found for found in statements(stack, role.value) if found["Sid"] == "ReadOwnSecrets")
        assert read["Action"] == "ssm:GetParameter"
        assert read["Resource"] == [
            *(f"${{aws_ssm_parameter.{site.cluster}_secrets_{name}.arn}}" for name in names),
            *(
                f"${{values(aws_ssm_parameter.{site.cluster}_secrets_program)[{part}].arn}}"
                for part in range(3)
            ),
        ]


def test_no_expression_in_a_policy_has_quotes_which_json_would_escape() -> None:
    for case in CASES:
        for address, body in resources(cluster_stack(site_plan(case))).items():
            if address.startswith("aws_iam_role_policy."):
                assert not re.search(r'\$\{[^}]*\\"', body["policy"]), address


def test_no_permission_is_for_everything() -> None:
    for case in CASES:
        for address, body in resources(cluster_stack(site_plan(case))).items():
            if address.startswith("aws_iam_role_policy."):
                for statement in json.loads(body["policy"])["Statement"]:
                    assert statement["Resource"] not in ("*", ["*"]), address
                    assert "*" not in str(statement["Action"]), address


def test_a_role_without_secrets_and_state_may_read_the_nodes_program_alone() -> None:
    stack = cluster_stack(dataclasses.replace(site_plan(), secrets=()))

    assert "agent" in only(stack, "aws_iam_instance_profile")["for_each"]
    [read] = statements(stack, "agent")
    assert len(read["Resource"]) == 3
    assert all("secrets_program)[" in arn for arn in read["Resource"])
    assert any(address.endswith("consul-policy") for address in resources(stack))


def test_under_a_customers_key_nodes_decrypt_by_way_of_the_service_only() -> None:
    stack = cluster_stack(site_plan("whole"))

    keys = [found for found in statements(stack, "master") if "kms" in str(found["Action"])]
    assert [found["Condition"] for found in keys] == [
        {"StringEquals": {"kms:ViaService": "ssm.eu-west-3.amazonaws.com"}},
        {"StringEquals": {"kms:ViaService": "s3.eu-west-3.amazonaws.com"}},
    ]


def test_a_role_writes_only_below_its_own_name_in_the_backup_bucket() -> None:
    own = next(
        found for found in statements(cluster_stack(site_plan()), "master") if found["Sid"] == "OwnBackups"
    )

    assert own["Resource"] == "${aws_s3_bucket.demo_backup_backup.arn}/master/*"


def test_the_permissions_boundary_is_on_every_role() -> None:
    boundary = "arn:aws:iam::123456789012:policy/boundary"
    bodies = resources(cluster_stack(site_plan("whole")))

    assert {
        body["permissions_boundary"] for name, body in bodies.items() if name.startswith("aws_iam_role.")
    } == {boundary}


def test_a_role_that_was_not_asked_for_is_an_error_that_names_the_others() -> None:
    with pytest.raises(SpecError, match="agent"):
        synthesize(
            lambda stack: NodeAccess(stack, "a", plan=site_plan(), roles=[Role.AGENT]).profile_name(
                Role.MASTER
            )
        )
