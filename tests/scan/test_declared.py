"""What synth leaves for the scan and for a plain checkov."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from constructs_lib.errors import ScanError
from constructs_lib.scan.declared import (
    checks_to_skip,
    read_exceptions,
    read_skipped,
    write_policy_files,
)
from constructs_lib.terraform.policy import PolicyException
from tests.scan.cases import synthesized

REASON = "this is a test"


def accepted(check: str, *addresses: str) -> list[PolicyException]:
    return [PolicyException(check, address, REASON) for address in addresses]


def test_exceptions_are_read_as_they_were_written(tmp_path: Path) -> None:
    synthesized(tmp_path)
    exceptions = accepted("CKV_AWS_79", "aws_instance.same", "aws_instance.merged")
    write_policy_files(tmp_path, {"demo-eu": exceptions})
    assert read_exceptions(tmp_path / "stacks" / "demo-eu") == tuple(sorted(exceptions))


def test_writing_again_gives_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    synthesized(tmp_path)
    exceptions = accepted("CKV_AWS_79", "aws_instance.same", "aws_instance.merged")
    files = [tmp_path / ".checkov.yaml", tmp_path / "stacks" / "demo-eu" / "policy-exceptions.json"]
    write_policy_files(tmp_path, {"demo-eu": exceptions})
    before = [file.read_bytes() for file in files]
    write_policy_files(tmp_path, {"demo-eu": exceptions[::-1]})
    assert [file.read_bytes() for file in files] == before


def test_a_check_accepted_for_every_resource_it_concerns_is_skipped(tmp_path: Path) -> None:
    synthesized(tmp_path)
    everywhere = accepted("CKV_AWS_126", "aws_instance.same", "aws_instance.merged", "aws_instance.none")
    write_policy_files(tmp_path, {"demo-eu": everywhere})
    assert read_skipped(tmp_path) == ("CKV_AWS_126",)


def test_a_check_accepted_for_some_resources_is_not_skipped(tmp_path: Path) -> None:
    synthesized(tmp_path)
    write_policy_files(tmp_path, {"demo-eu": accepted("CKV_AWS_126", "aws_instance.same")})
    assert read_skipped(tmp_path) == ()


def test_a_check_that_also_concerns_another_type_is_not_skipped(tmp_path: Path) -> None:
    synthesized(tmp_path)
    instances = accepted("CKV_AWS_79", "aws_instance.same", "aws_instance.merged", "aws_instance.none")
    write_policy_files(tmp_path, {"demo-eu": instances})
    assert read_skipped(tmp_path) == ()
    write_policy_files(
        tmp_path, {"demo-eu": [*instances, *accepted("CKV_AWS_79", "aws_launch_template.same")]}
    )
    assert read_skipped(tmp_path) == ("CKV_AWS_79",)


def test_the_other_stacks_resources_count_too() -> None:
    kinds = {("one", "aws_vpc.x"): "aws_vpc", ("other", "aws_vpc.x"): "aws_vpc"}
    one = accepted("CKV2_AWS_11", "aws_vpc.x")
    assert checks_to_skip(kinds, {"one": one, "other": []}) == ()
    assert checks_to_skip(kinds, {"one": one, "other": one}) == ("CKV2_AWS_11",)


def test_a_stack_of_somebody_else_has_no_exceptions_and_no_configuration(tmp_path: Path) -> None:
    synthesized(tmp_path)
    assert read_exceptions(tmp_path / "stacks" / "demo-eu") == ()
    assert read_skipped(tmp_path) == ()


def test_a_users_own_configuration_is_not_taken_for_a_generated_one(tmp_path: Path) -> None:
    (tmp_path / ".checkov.yaml").write_text("skip-check:\n  - CKV_AWS_1\n", encoding="utf-8")
    assert read_skipped(tmp_path) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"exceptions": [{}]}',
        '{"exceptions": [1]}',
        '{"exceptions": [{"check": "CKV_AWS_1", "address": "a.b", "reason": "it is so", "by": "me"}]}',
        '{"exceptions": 1}',
    ],
)
def test_a_file_that_synth_did_not_write_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "policy-exceptions.json").write_text(text, encoding="utf-8")
    with pytest.raises(ScanError, match=r"policy-exceptions\.json: .*synthesize again"):
        read_exceptions(tmp_path)


def test_the_configuration_is_limited_to_what_the_scan_checks(tmp_path: Path) -> None:
    synthesized(tmp_path)
    write_policy_files(tmp_path, {"demo-eu": ()})
    text = (tmp_path / ".checkov.yaml").read_text(encoding="utf-8")
    assert "framework:\n  - terraform_json\n" in text
    assert "skip-check" not in text
    assert json.loads((tmp_path / "stacks" / "demo-eu" / "policy-exceptions.json").read_text()) == {
        "exceptions": []
    }


def test_importing_it_costs_a_synth_next_to_nothing() -> None:
    heavy = {"cdktf", "cdktn", "jsii", "yaml", "pydantic", "subprocess", "importlib.resources"}
    code = f"import sys, constructs_lib.scan.declared; sys.exit(', '.join({heavy!r} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stderr.strip() == ""
