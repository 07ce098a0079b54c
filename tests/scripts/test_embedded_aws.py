"""The AWS API double as a background process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.embedded_aws import HOST, EmbeddedAws, answers, free_port
from scripts.progress import ROOT, StepError


@pytest.fixture
def double(tmp_path: Path) -> Iterator[EmbeddedAws]:
    double = EmbeddedAws(tmp_path / "double")
    yield double
    double.stop()


def _command(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.embedded_aws", *arguments, "--state", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.slow
def test_it_outlives_the_process_that_started_it_and_says_that_it_is_a_double(double: EmbeddedAws) -> None:
    port = free_port()
    started = _command("start", "--port", str(port), folder=double.folder)
    assert started.returncode == 0, started.stderr
    assert f"moto, an AWS API double, on http://127.0.0.1:{port}" in started.stdout
    assert answers(port)
    status = _command("status", folder=double.folder)
    assert (status.returncode, f":{port}, process " in status.stdout) == (0, True)
    assert double.folder.stat().st_mode & 0o777 == 0o700
    assert _command("stop", folder=double.folder).returncode == 0
    assert not answers(port)
    assert _command("status", folder=double.folder).returncode == 1


@pytest.mark.slow
def test_a_second_start_does_nothing_and_another_port_is_refused(double: EmbeddedAws) -> None:
    port = free_port()
    assert double.start(port)
    first = double.running()
    assert not double.start(port)
    assert double.running() == first
    with pytest.raises(StepError, match=rf"already runs on port {port}"):
        double.start(free_port())


def test_a_port_of_another_program_is_refused_in_one_line(double: EmbeddedAws) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        done = _command("start", "--port", str(port), folder=double.folder)
    assert done.returncode == 1
    assert done.stderr.startswith(f"!!! port {port} on 127.0.0.1 cannot be used")
    assert len(done.stderr.splitlines()) == 1
    assert double.running() is None


def test_a_later_process_of_the_same_id_is_never_ended(double: EmbeddedAws) -> None:
    double.folder.mkdir()
    remembered = {"pid": os.getpid(), "started": 1, "port": 5566}
    (double.folder / "moto.json").write_text(json.dumps(remembered))
    assert double.running() is None
    assert not double.stop()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_broken_process_file_counts_as_not_running(double: EmbeddedAws, text: str) -> None:
    double.folder.mkdir()
    (double.folder / "moto.json").write_text(text)
    assert double.running() is None


def test_an_impossible_port_is_a_usage_error(tmp_path: Path) -> None:
    done = _command("start", "--port", "70000", folder=tmp_path)
    assert done.returncode == 2
    assert "got 70000, expected 1 to 65535" in done.stderr
