"""From a synthesized folder to a report, by the real checkov where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from constructs_lib.errors import ScanError, SpecError
from constructs_lib.scan.checkov import PROGRAM_VARIABLE, find_checkov
from constructs_lib.scan.declared import write_policy_files
from constructs_lib.scan.scan import scan
from constructs_lib.scan.several_kinds import FILE, render
from constructs_lib.terraform.policy import PolicyException
from tests.scan.cases import RECORDED, program, synthesized
from tests.scan.test_report import FAILURES


@pytest.fixture
def replay(tmp_path: Path) -> dict[str, str]:
    """An environment whose checkov prints what the real one said about the recorded stack."""
    (tmp_path / "bin").mkdir()
    return {**os.environ, PROGRAM_VARIABLE: program(tmp_path / "bin" / "checkov", f"cat '{RECORDED}'")}


def test_a_synthesized_folder_is_scanned_with_the_exceptions_beside_its_stacks(
    tmp_path: Path, replay: dict[str, str]
) -> None:
    out = synthesized(tmp_path / "out")
    accepted = [PolicyException(check, address, "a test needs it") for check, address in FAILURES]
    write_policy_files(out, {"demo-eu": accepted})
    report = scan(out, replay)
    assert report.fine
    assert report.stacks[0].stack.file == out / "stacks" / "demo-eu" / "cdk.tf.json"


def test_the_folder_of_one_stack_is_scanned_too(tmp_path: Path, replay: dict[str, str]) -> None:
    out = synthesized(tmp_path / "out")
    assert [r.stack.name for r in scan(out / "stacks" / "demo-eu", replay).stacks] == ["demo-eu"]


def test_a_stack_that_a_former_synth_left_behind_is_not_scanned(
    tmp_path: Path, replay: dict[str, str]
) -> None:
    out = synthesized(synthesized(tmp_path / "out"), name="former")
    manifest = {"stacks": {"demo-eu": {"synthesizedStackPath": "stacks/demo-eu/cdk.tf.json"}}}
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert [r.stack.name for r in scan(out, replay).stacks] == ["demo-eu"]


@pytest.mark.parametrize("make", [lambda folder: None, Path.mkdir, Path.touch])
def test_a_folder_without_stacks_is_wrong_input(tmp_path: Path, replay: dict[str, str], make: object) -> None:
    assert callable(make)
    make(tmp_path / "out")
    with pytest.raises(SpecError, match=r"expected a synthesized folder.*run clustermesos synth first"):
        scan(tmp_path / "out", replay)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stacks": 1}', '{"stacks": {"a": {}}}'])
def test_a_broken_manifest_is_named(tmp_path: Path, replay: dict[str, str], text: str) -> None:
    out = synthesized(tmp_path / "out")
    (out / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(ScanError, match=r"manifest\.json: cannot be read .*; synthesize again"):
        scan(out, replay)


@pytest.mark.parametrize("text", ["", "{", "[]", "\udcff"])
def test_a_broken_stack_is_named(tmp_path: Path, replay: dict[str, str], text: str) -> None:
    out = synthesized(tmp_path / "out")
    (out / "stacks" / "demo-eu" / "cdk.tf.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ScanError, match=r"demo-eu/cdk\.tf\.json: .*; synthesize again"):
        scan(out, replay)


@pytest.mark.checkov
def test_the_real_checkov_says_what_was_recorded(tmp_path: Path, real_checkov: dict[str, str]) -> None:
    out = synthesized(tmp_path / "out")
    (report,) = scan(out, real_checkov).stacks
    recorded = {check for check, _ in FAILURES}
    assert {(r.check, r.address) for r in report.failed if r.check in recorded} == FAILURES


@pytest.mark.checkov
def test_a_plain_checkov_skips_exactly_what_the_generated_configuration_says(
    tmp_path: Path, real_checkov: dict[str, str]
) -> None:
    out = synthesized(tmp_path / "out")
    everywhere = [
        PolicyException("CKV2_AWS_41", f"aws_instance.{name}", "a test needs it")
        for name in ("same", "merged", "none")
    ]
    some = [PolicyException("CKV_AWS_79", "aws_instance.merged", "a test needs it")]
    write_policy_files(out, {"demo-eu": [*everywhere, *some]})
    (tmp_path / "home").mkdir()
    ran = subprocess.run(
        [find_checkov(real_checkov), "-d", "out", "--output", "json", "--compact"],
        cwd=tmp_path,
        env={**real_checkov, "HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    failed = {record["check_id"] for record in json.loads(ran.stdout)["results"]["failed_checks"]}
    assert "CKV2_AWS_41" not in failed
    assert "CKV_AWS_79" in failed


@pytest.mark.checkov
def test_the_list_of_checks_with_several_types_is_checkovs_own(
    tmp_path: Path, real_checkov: dict[str, str]
) -> None:
    ran = subprocess.run(
        [find_checkov(real_checkov), "--list", "--framework", "terraform", "--skip-download"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert render(ran.stdout.splitlines()) == FILE.read_text(encoding="utf-8")


@pytest.mark.checkov
def test_the_real_checkov_takes_a_stack_with_nothing_to_check(
    tmp_path: Path, real_checkov: dict[str, str]
) -> None:
    content = {"resource": {"terraform_data": {"x": {"input": "1"}}}}
    report = scan(synthesized(tmp_path / "out", content), real_checkov)
    assert report.fine
