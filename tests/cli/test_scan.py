"""`clustermesos scan`: formats, files and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from constructs_lib.cli.main import main
from constructs_lib.scan.checkov import PROGRAM_VARIABLE
from constructs_lib.scan.declared import write_policy_files
from constructs_lib.terraform.policy import PolicyException
from tests.scan.cases import RECORDED, program, synthesized
from tests.scan.test_report import FAILURES


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A synthesized folder, and a checkov that prints what the real one said about it."""
    (tmp_path / "bin").mkdir()
    replay = program(tmp_path / "bin" / "checkov", f"cat '{RECORDED}'")
    monkeypatch.setenv(PROGRAM_VARIABLE, replay)
    return synthesized(tmp_path / "out")


def accept_all(out: Path, *more: PolicyException) -> None:
    accepted = [PolicyException(check, address, "a test needs it") for check, address in FAILURES]
    write_policy_files(out, {"demo-eu": [*accepted, *more]})


def test_failed_checks_give_exit_code_1_and_are_printed(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", str(out)]) == 1
    assert "8 failed" in capsys.readouterr().out


def test_accepted_ones_give_exit_code_0(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accept_all(out)
    assert main(["scan", str(out)]) == 0
    assert "Fine" in capsys.readouterr().out


def test_an_exception_that_matches_nothing_gives_exit_code_1(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    accept_all(out, PolicyException("CKV_AWS_79", "aws_instance.gone", "a test needs it"))
    assert main(["scan", str(out)]) == 1
    assert "MATCHES NOTHING CKV_AWS_79 at aws_instance.gone" in capsys.readouterr().out


@pytest.mark.parametrize(("format", "key"), [("json", "stacks"), ("sarif", "runs")])
def test_the_other_formats_are_written_to_a_file(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str, key: str
) -> None:
    file = tmp_path / "report"
    assert main(["scan", "--format", format, "--output", str(file), str(out)]) == 1
    assert key in json.loads(file.read_text(encoding="utf-8"))
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"not fine: see {file}\n")


def test_an_output_that_cannot_be_written_is_wrong_input(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", "--output", str(out / "missing" / "file"), str(out)]) == 2
    assert "--output: got" in capsys.readouterr().err


def test_a_folder_without_stacks_is_wrong_input(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scan", str(tmp_path / "nowhere")]) == 2
    assert "run clustermesos synth first" in capsys.readouterr().err


def test_an_unknown_format_is_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["scan", "--format", "xml"])
    assert caught.value.code == 2


def test_without_checkov_it_fails_before_anything_is_synthesized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(PROGRAM_VARIABLE, "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["scan"]) == 1
    assert "checkov is not in PATH" in capsys.readouterr().err


def test_without_a_folder_a_wrong_cluster_yaml_is_wrong_input(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cluster.yaml").write_text("name: 1\n", encoding="utf-8")
    monkeypatch.setenv("CLUSTERMESOS_FILE", str(tmp_path / "cluster.yaml"))
    assert main(["scan"]) == 2
    assert "cluster.yaml:1" in capsys.readouterr().err
