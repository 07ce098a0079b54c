"""A lab that is killed with SIGKILL leaves no process, mount, namespace or loop device."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.lab import cgroups
from constructs_lib.lab.image import image
from constructs_lib.lab.keeper import connect, connects, end, lab_folder, launch
from constructs_lib.spec.workspace import Workspace
from tests.lab.asking import LONG, until
from tests.lab.conftest import CLUSTER

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]


@pytest.fixture
def another(lab_machine: None) -> Iterator[Workspace]:
    """A second lab, beside the shared one."""
    folder = Path(tempfile.mkdtemp(prefix="clustermesos-"))
    text = CLUSTER.read_text().replace("name: drill", "name: doomed")
    (folder / "cluster.yaml").write_text(text)
    yield Workspace(folder / "cluster.yaml")
    shutil.rmtree(folder)


def _left(name: str) -> dict[str, list[str]]:
    """What the kernel still has of a lab in whose folder or machines `name` stands."""
    processes = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if name in words and str(os.getpid()) != path.parent.name:
            processes.append(words)
    loops = [file for file in map(_said, Path("/sys/block").glob("loop*/loop/backing_file")) if name in file]
    return {
        "processes": processes,
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if name in line],
        "loop devices": loops,
    }


def _said(file: Path) -> str:
    """Nothing where the device went while we looked."""
    try:
        return file.read_text()
    except OSError:
        return ""


def _groups_gone() -> bool:
    """A group can be taken away a moment after its last process has ended."""
    cgroups.remove_leftovers()
    return not _groups()


def _groups() -> list[Path]:
    """With one hierarchy they are at the top, else below each."""
    return [path for at in ("", "*/") for path in cgroups.ROOT.glob(f"{at}clustermesos-lab-doomed-*")]


def _gone(name: str, seconds: float = LONG) -> dict[str, list[str]]:
    limit = time.monotonic() + seconds
    while any(_left(name).values()) and time.monotonic() < limit:
        time.sleep(0.5)
    return _left(name)


NOTHING: dict[str, list[str]] = {"processes": [], "mounts": [], "loop devices": []}


def test_a_killed_lab_leaves_nothing(another: Workspace) -> None:
    folder = str(another.folder)
    process = launch(another, image(), tied=True)
    assert process.stdin
    lab = connect(another)
    lab.start("master-1", "general-1")
    time.sleep(3)
    assert any(state.on for state in lab.states())
    assert _left(folder)["loop devices"]
    process.send_signal(signal.SIGKILL)
    process.wait(LONG)
    process.stdin.close()
    assert _gone(folder) == NOTHING
    assert not connects(lab_folder(another) / "lab.sock")
    # Empty control groups are all that stays; the next lab takes them away.
    until("its control groups are gone", LONG, _groups_gone)


def test_a_lab_ends_with_the_process_that_wanted_it(another: Workspace) -> None:
    process = launch(another, image(), tied=True)
    assert process.stdin
    connect(another).start("gateway-1")
    process.stdin.close()
    process.wait(LONG)
    assert _gone(str(another.folder)) == NOTHING


def test_a_lab_that_is_ended_leaves_no_file_either(another: Workspace) -> None:
    process = launch(another, image(), tied=True)
    connect(another).start("gateway-1")
    end(another, process)
    assert _gone(str(another.folder)) == NOTHING
    assert not lab_folder(another).exists()
    assert not _groups()
