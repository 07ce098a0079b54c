"""Exceptions that constructs declare beside their resources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from constructs_lib.errors import ScanError
from constructs_lib.terraform import App, Construct, DataSource, Resource, TerraformStack
from constructs_lib.terraform.meta import ForEach
from constructs_lib.terraform.policy import PolicyException, accept, exceptions_of

REASON = "nobody outside reaches it"


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(outdir=str(tmp_path / "out"))


def vpc(scope: Construct | TerraformStack, id: str = "vpc", for_each: ForEach = None) -> Resource:
    return Resource(scope, id, "aws_vpc", cidr_block="10.0.0.0/16", for_each=for_each)


def test_exceptions_are_listed_by_check_then_address_with_their_reasons(app: App) -> None:
    stack = TerraformStack(app, "eu")
    second, first = vpc(stack, "second"), vpc(stack, "first")
    accept(second, "CKV2_AWS_12", REASON)
    accept(second, "CKV2_AWS_11", REASON)
    accept(first, "CKV2_AWS_12", "another reason\n   that was wrapped")
    assert exceptions_of(stack) == (
        PolicyException("CKV2_AWS_11", "aws_vpc.second", REASON),
        PolicyException("CKV2_AWS_12", "aws_vpc.first", "another reason that was wrapped"),
        PolicyException("CKV2_AWS_12", "aws_vpc.second", REASON),
    )


def test_a_stack_lists_what_its_own_constructs_accepted_at_any_depth(app: App) -> None:
    one, other = TerraformStack(app, "one"), TerraformStack(app, "other")
    accept(vpc(Construct(Construct(one, "a"), "b")), "CKV2_AWS_11", REASON)
    assert exceptions_of(one) == (PolicyException("CKV2_AWS_11", "aws_vpc.a_b_vpc", REASON),)
    assert exceptions_of(other) == ()


def test_one_exception_stands_for_all_instances_of_a_for_each(app: App) -> None:
    resource = vpc(TerraformStack(app, "eu"), for_each={"a": "1", "b": "2"})
    assert accept(resource, "CKV2_AWS_11", REASON).address == "aws_vpc.vpc"


def test_a_data_source_has_the_address_that_terraform_gives_it(app: App) -> None:
    caller = DataSource(TerraformStack(app, "eu"), "caller", "aws_caller_identity")
    assert accept(caller, "CKV_AWS_111", REASON).address == "data.aws_caller_identity.caller"


def test_the_same_exception_twice_is_one(app: App) -> None:
    stack = TerraformStack(app, "eu")
    resource = vpc(stack)
    accept(resource, "CKV2_AWS_11", REASON)
    accept(resource, "CKV2_AWS_11", REASON)
    assert len(exceptions_of(stack)) == 1


def test_two_reasons_for_the_same_exception_are_refused_with_both(app: App) -> None:
    resource = vpc(TerraformStack(app, "eu"))
    accept(resource, "CKV2_AWS_11", REASON)
    with pytest.raises(ScanError, match=r"nobody outside reaches it.*because it is new"):
        accept(resource, "CKV2_AWS_11", "because it is new")


@pytest.mark.parametrize("check", ["", "CKV_AWS", "ckv_aws_1", "CKV_AWS_1,CKV_AWS_2", "CKV_AWS_*", "126"])
def test_what_is_no_check_id_is_refused(check: str) -> None:
    with pytest.raises(ScanError, match=r"aws_vpc\.vpc: got the check id .*, expected one like CKV_AWS_126"):
        PolicyException(check, "aws_vpc.vpc", REASON)


@pytest.mark.parametrize("check", ["CKV_AWS_126", "CKV2_AWS_5", "CKV_OPENSTACK_1", "CKV_TF_1", "ACME_7"])
def test_ids_of_graph_checks_and_of_a_users_own_are_taken(check: str) -> None:
    assert PolicyException(check, "aws_vpc.vpc", REASON).check == check


@pytest.mark.parametrize("reason", ["", " ", "ok", "not needed"])
def test_a_reason_of_fewer_than_three_words_is_refused(reason: str) -> None:
    with pytest.raises(ScanError, match="at least 3 words"):
        PolicyException("CKV_AWS_1", "aws_vpc.vpc", reason)


def test_importing_it_does_not_start_the_engine() -> None:
    code = (
        "import sys, constructs_lib.terraform.policy; "
        "sys.exit(bool({'cdktf', 'cdktn', 'jsii'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
