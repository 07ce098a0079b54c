"""CI fails for a test that is skipped without being allowed to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skip_policy import allowed_skips, silent_skips

ROOT = Path(__file__).parents[2]
SKIPPING = """
import pytest
def test_runs(): pass
@pytest.mark.skip(reason="no such program")
def test_is_skipped(): pass
@pytest.mark.xfail(reason="known", strict=True)
def test_is_expected_to_fail(): assert False
"""
PLUGIN = """
from pathlib import Path
from tests.skip_policy import SkipPolicy
def pytest_configure(config):
    config.pluginmanager.register(SkipPolicy(Path(__file__).with_name("allowed.txt")))
"""


def _run(folder: Path, allowed: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(SKIPPING)
    (folder / "conftest.py").write_text(PLUGIN)
    (folder / "allowed.txt").write_text(allowed)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder), "--rootdir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_silent_skip_fails_the_run_and_is_named(tmp_path: Path) -> None:
    done = _run(tmp_path, allowed="")
    assert done.returncode == 1
    assert "test_it.py::test_is_skipped: Skipped: no such program" in done.stdout
    assert "test_is_expected_to_fail: " not in done.stdout


@pytest.mark.slow
def test_an_allowed_skip_does_not(tmp_path: Path) -> None:
    assert _run(tmp_path, allowed="test_it.py::test_is_* # not on this machine\n").returncode == 0


def test_an_allowed_skip_needs_a_reason() -> None:
    assert allowed_skips("# a comment\n\na::b  # because\n") == {"a::b": "because"}
    with pytest.raises(ValueError, match=r"a::b.*no reason"):
        allowed_skips("a::b\n")


def test_patterns_match_whole_names() -> None:
    assert silent_skips({"t.py::one": "x", "t.py::two": "y"}, {"t.py::o*": "fine"}) == {"t.py::two": "y"}
