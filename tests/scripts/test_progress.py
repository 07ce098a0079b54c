"""What a person reads when a step fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scripts.progress import StepError, explain, one_line_errors, run_logged


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("npm error code ENOTFOUND\n", "could not be reached; is there a network?"),
        ("Failed to establish a new connection: [Errno 111] Connection refused", "is there a network?"),
        ("ERROR: Could not install: [Errno 28] No space left on device", "no space left on the disk"),
        ("raise FileNotFoundError(msg)\nerror: it broke\nhint: none", "pip ended with 1: error: it broke"),
        ("E: Unable to locate package x\n\n", "pip ended with 1: E: Unable to locate package x"),
        (
            "\x1b[0m[ERROR] Could not find artifact a:b\n[ERROR] \n\x1b[0m",
            "1: [ERROR] Could not find artifact a:b (",
        ),
        ("npm error code E404\nnpm error A complete log is in /x", "pip ended with 1: npm error code E404"),
        ("", "pip ended with 1: nothing printed"),
    ],
)
def test_a_failure_is_one_line_with_its_cause(output: str, expected: str) -> None:
    line = explain(["/venv/bin/pip"], 1, output, Path("/tmp/pip.log"))
    assert expected in line
    assert "\n" not in line
    assert "/tmp/pip.log" in line


def test_the_output_of_a_step_is_in_its_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "it.log"
    run_logged([sys.executable, "-c", "print('hello')"], log)
    assert log.read_text() == "hello\n"
    with pytest.raises(StepError, match=r"ended with 3: boom"):
        run_logged([sys.executable, "-c", "import sys; print('boom'); sys.exit(3)"], log)
    with pytest.raises(StepError, match=r"no such command"):
        run_logged([tmp_path / "nothing"], log)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (StepError("port 5566 is taken"), 1, "!!! port 5566 is taken\n"),
        (OSError(28, "No space left on device", "/x"), 1, "!!! No space left on device: /x\n"),
        (KeyboardInterrupt(), 130, "!!! interrupted\n"),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_no_traceback(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left, one_line_errors():
        raise error
    assert left.value.code == code
    assert capsys.readouterr().err == line
