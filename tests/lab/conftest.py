"""One lab for the whole run; each drill starts from a healthy cluster and says what it broke and saw."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.lab.commands import missing
from constructs_lib.lab.image import image
from constructs_lib.lab.keeper import KeptLab, connect, end, launch
from constructs_lib.spec.workspace import Workspace
from scripts.drills import Run
from tests.lab.drill import Drill
from tests.lab.healthy import first_boot, settle
from tests.lab.kept_journals import KeptJournals
from tests.lab.lab_time import LabTime, bound_seconds

CLUSTER = Path(__file__).with_name("cluster.yaml")
PASSED = pytest.StashKey[bool]()
SETTLED = pytest.StashKey[bool]()
TIME = LabTime(Path(__file__).parent, bound_seconds(os.environ))
JOURNALS = KeptJournals(lambda: TIME.run.folder)


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
    """The cluster that all drills break, booted once; it ends with the test run, however that ends.

    Its first boot is a drill of its own: what does not complete fails every test that wants the cluster.
    """
    process = launch(workspace, image(), tied=True)
    try:
        lab = connect(workspace)
        with JOURNALS.while_booting(lab, "first_boot"):
            first_boot(lab, Drill("first_boot", TIME.run))
        yield lab
    finally:
        end(workspace, process)


@pytest.fixture
def this_run() -> Run:
    """The record of this run of tests/lab."""
    return TIME.run


@pytest.fixture
def lab(shared_lab: KeptLab, request: pytest.FixtureRequest) -> KeptLab:
    """The cluster, healthy, and settled: what a drill did last may reach the other nodes only later.

    Where nothing failed and no drill was since then, it still is.
    """
    if TIME.failed or not request.config.stash.get(SETTLED, False):
        settle(shared_lab, failed_before=TIME.failed)
    request.config.stash[SETTLED] = True
    return shared_lab


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Iterator[Drill]:
    """The record of one drill, kept whether it succeeds or not."""
    record = Drill(request.node.name.removeprefix("test_"), TIME.run)
    yield record
    record.close(passed=request.node.stash.get(PASSED, False))


@pytest.fixture
def drill(record: Drill, lab: KeptLab, request: pytest.FixtureRequest) -> Drill:
    """The record of a drill of the shared cluster; asked for, that is healthy."""
    request.config.stash[SETTLED] = False
    return record


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What can't be taken back comes last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the record whether its test passed, count the time, keep the journals of a failure."""
    report = yield
    if call.when == "call":
        item.stash[PASSED] = report.passed
    TIME.took(report)
    JOURNALS.of_report(item, report)
    return report


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """A run that leaves tests out is no run of all drills."""
    TIME.deselected(items)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Keep the run's record, and hold it to the bound."""
    TIME.ended(session)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say that it took too long."""
    if TIME.trouble:
        terminalreporter.section("the lab part", red=True)
        terminalreporter.line(TIME.trouble)
