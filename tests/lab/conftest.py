"""One lab for the whole run; each drill starts from a healthy cluster and says what it broke and saw."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from constructs_lib.errors import LabError
from constructs_lib.lab.commands import missing
from constructs_lib.lab.image import image
from constructs_lib.lab.keeper import KeptLab, connect, end, launch
from constructs_lib.spec.workspace import Workspace
from tests.lab.asking import all_members_alive, members_of, quorum, resolves
from tests.lab.drill import Drill

CLUSTER = Path(__file__).with_name("cluster.yaml")
BOOT_SECONDS = 600
"""Bounds are generous: a machine of 2 cores that does something else too needs 60."""
HEALTHY_SECONDS = 300
PASSED = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def lab_machine() -> None:
    """Skips by name where this machine can't run a lab."""
    reason = missing()
    if reason:
        pytest.skip(f"no lab: {reason}")


@pytest.fixture(scope="session")
def workspace(lab_machine: None) -> Iterator[Workspace]:
    """The lab's cluster.yaml, in a folder whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="clustermesos-"))
    shutil.copy(CLUSTER, folder)
    yield Workspace(folder / CLUSTER.name)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def shared_lab(workspace: Workspace) -> Iterator[KeptLab]:
    """The cluster that all drills break, booted once; it ends with the test run, however that ends."""
    process = launch(workspace, image(), tied=True)
    lab = connect(workspace)
    lab.start()
    yield lab
    end(workspace, process)


@pytest.fixture
def lab(shared_lab: KeptLab) -> KeptLab:
    """The cluster, healthy, and settled: what a drill did last may reach the other nodes only later."""
    for name in shared_lab.names():
        shared_lab.limit_cpu(name, None)
        shared_lab.heal(name)
    shared_lab.mirror(up=True)
    states = shared_lab.states()
    off = [state.name for state in states if not state.on]
    if off:
        shared_lab.start(*off)
    # The first drill of a run meets machines that boot.
    up = all(state.booted for state in states)
    try:
        shared_lab.wait(HEALTHY_SECONDS if up else BOOT_SECONDS)
    except LabError:
        # What the drill before could not mend is replaced: its failure is told already, by its own test.
        for sick in [state.name for state in shared_lab.states() if not state.healthy]:
            shared_lab.destroy(sick, keep_data=False)
            shared_lab.rebuild(sick)
        shared_lab.wait(BOOT_SECONDS)
    quorum(shared_lab)
    all_members_alive(shared_lab)
    for name in members_of(shared_lab):
        for asked in ("consul.service.consul", "registry.service.consul"):
            resolves(shared_lab, name, asked)
    return shared_lab


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Drill]:
    """The record of one drill, kept whether it succeeds or not."""
    record = Drill(request.node.name.removeprefix("test_"))
    yield record
    record.close(passed=request.node.stash.get(PASSED, False))


@pytest.fixture
def drill(record: Drill, lab: KeptLab) -> Drill:
    """The record of a drill of the shared cluster; asked for, that is healthy."""
    return record


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the record whether its test passed."""
    report = yield
    if call.when == "call":
        item.stash[PASSED] = report.passed
    return report
