from __future__ import annotations

import dataclasses
import json
import re

import pytest

from constructs_lib.aws import NodeAccess
from constructs_lib.aws.settings import aws_of
from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
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
                for part in range(len(only(stack, "aws_ssm_parameter", "program")["for_each"]))
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
    assert len(read["Resource"]) == len(only(stack, "aws_ssm_parameter", "program")["for_each"])
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


def test_agents_read_write_and_list_their_folder_of_a_target_without_credentials() -> None:
    bucket = "arn:aws:s3:::whole-backups"
    objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    given = [found for found in statements(cluster_stack(site_plan("whole")), "agent") if _on_s3(found)]

    assert given == [
        {
            "Sid": "BackupTarget1",
            "Effect": "Allow",
            "Action": objects,
            "Resource": f"{bucket}/nightly/whole/*",
        },
        {
            "Sid": "ListBackupTarget1",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": bucket,
            "Condition": {"StringLike": {"s3:prefix": "nightly/whole/*"}},
        },
        {
            "Sid": "LocateBackupTarget1",
            "Effect": "Allow",
            "Action": "s3:GetBucketLocation",
            "Resource": bucket,
        },
        {
            "Sid": "NotInBackupTarget1",
            "Effect": "Deny",
            "Action": objects,
            "Resource": f"{bucket}/nightly/whole/_platform/*",
        },
        {
            "Sid": "EncryptThem",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": aws_of(site_plan("whole")).kms_key_arn,
            "Condition": {"StringEquals": {"kms:ViaService": "s3.eu-west-3.amazonaws.com"}},
        },
    ]


def test_nodes_that_hold_state_have_the_platforms_folder_of_a_target_without_credentials() -> None:
    stack = cluster_stack(site_plan("whole"))

    for role in ("master", "consul"):
        found = {each["Sid"]: each for each in statements(stack, role) if _on_s3(each)}
        assert list(found) == [
            *("OwnBackups", "ListOwnBackups", "EncryptThem"),
            *("BackupTarget1", "ListBackupTarget1", "LocateBackupTarget1"),
        ]
        folder = "nightly/whole/_platform/eu/*"
        assert found["BackupTarget1"]["Resource"] == f"arn:aws:s3:::whole-backups/{folder}"
        assert found["ListBackupTarget1"]["Condition"] == {"StringLike": {"s3:prefix": folder}}
    assert not any(_on_s3(found) for role in ("gateway", "edge") for found in statements(stack, role))


@pytest.mark.parametrize("case", ["demo", "small"])
def test_without_such_a_target_agents_have_no_rights_on_any_bucket(case: str) -> None:
    assert not any(_on_s3(found) for found in statements(cluster_stack(site_plan(case)), "agent"))


def test_a_bucket_in_another_of_amazons_clouds_has_that_clouds_arn() -> None:
    given = settings("small")
    [site] = given["sites"].values()
    site["aws"]["region"] = "us-gov-west-1"
    given["app_secrets"] = {"backup/password": {"pools": list(site["agents"])}}
    given["backups"] = {
        "gov": {"repository": "s3:s3.us-gov-west-1.amazonaws.com/saved", "password": "backup/password"}
    }
    [target] = [
        found
        for found in statements(cluster_stack(plan_of(given)), "agent")
        if found["Sid"] == "BackupTarget1"
    ]

    assert target["Resource"] == f"arn:aws-us-gov:s3:::saved/{given['name']}/*"


def _on_s3(statement: Json) -> bool:
    return any(word in json.dumps(statement) for word in ('"s3:', '"s3.'))


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
