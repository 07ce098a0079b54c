"""A run of tests/lab that takes too long fails, and one that leaves tests out is no run of all drills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.drills import BOUND_MINUTES
from tests.lab.lab_time import VARIABLE, bound_seconds

ROOT = Path(__file__).parents[2]
TESTS = """
import time
def test_quick(): pass
def test_slow(): time.sleep(1)
"""
PLUGIN = """
import pytest, scripts.drills
from pathlib import Path
from tests.lab.lab_time import LabTime
HERE = Path(__file__).parent
scripts.drills.runs = lambda: HERE / "runs"
TIME = LabTime(HERE, {bound})

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    TIME.took(report)
    return report
def pytest_deselected(items): TIME.deselected(items)
@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session): TIME.ended(session)
def pytest_terminal_summary(terminalreporter): terminalreporter.line(TIME.trouble)
"""


def _run(folder: Path, bound: float, *options: str) -> tuple[int, str, dict[str, object]]:
    (folder / "test_it.py").write_text(TESTS)
    (folder / "conftest.py").write_text(PLUGIN.format(bound=bound))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            *options,
            str(folder),
            "--rootdir",
            str(folder),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    [record] = folder.glob("runs/*/run.json")
    return done.returncode, done.stdout, json.loads(record.read_text())


@pytest.mark.slow
def test_a_run_over_the_bound_fails_and_says_by_how_much(tmp_path: Path) -> None:
    code, said, record = _run(tmp_path, 0.5)

    assert code == pytest.ExitCode.TESTS_FAILED
    assert "tests/lab took 1 s, at most 0 are allowed" in said
    assert record["bound"] == 0.5


@pytest.mark.slow
def test_a_run_within_the_bound_passes_and_keeps_what_it_took(tmp_path: Path) -> None:
    code, said, record = _run(tmp_path, 600)

    assert code == 0
    assert "are allowed" not in said
    assert record["whole"] is True
    assert isinstance(record["seconds"], float) and record["seconds"] >= 1


@pytest.mark.slow
def test_a_run_of_some_tests_is_not_whole(tmp_path: Path) -> None:
    assert _run(tmp_path, 600, "-k", "quick")[2]["whole"] is False


def test_the_bound_is_20_minutes_unless_the_machine_is_shared() -> None:
    assert bound_seconds({}) == BOUND_MINUTES * 60 == 1200
    assert bound_seconds({VARIABLE: "45"}) == 2700
    with pytest.raises(pytest.UsageError, match=f"{VARIABLE}: got 'soon', expected minutes"):
        bound_seconds({VARIABLE: "soon"})
