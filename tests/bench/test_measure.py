"""What one run reports: of the whole tree, and a failure as one line."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench.measure import measure, resident_bytes, tree
from scripts.progress import StepError

_MIB = 2**20
_HOLDS = "x = bytearray(64 * 2**20); import time; time.sleep(2)"


@pytest.mark.slow
def test_memory_of_a_child_is_counted(tmp_path: Path) -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_HOLDS!r}], check=True)"
    run = measure([sys.executable, "-c", child], log=tmp_path / "log", env=os.environ)
    assert run.peak_bytes > 64 * _MIB
    assert run.seconds > 0.3


def test_processor_time_of_a_child_is_counted(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}], check=True)"
    assert measure([sys.executable, "-c", child], log=tmp_path / "log", env=os.environ).cpu_seconds >= 0.2


def test_a_child_of_a_thread_belongs_to_the_tree() -> None:
    assert os.getpid() in set(tree(os.getpid()))
    assert resident_bytes(os.getpid()) > _MIB


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert resident_bytes(2**22 + 1) == 0


def test_a_failure_says_the_last_line_and_where_the_rest_is(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(StepError) as raised:
        measure(
            [sys.executable, "-c", "print('first'); raise SystemExit('no disk')"], log=log, env=os.environ
        )
    assert "ended with 1: no disk" in str(raised.value)
    assert str(log) in str(raised.value)
