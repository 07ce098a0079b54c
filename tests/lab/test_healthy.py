"""What is done for the shared cluster before a drill, against a double: no machine is booted here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from constructs_lib.errors import LabError
from constructs_lib.lab.keeper import KeptLab
from scripts.drills import Run
from tests.lab import healthy
from tests.lab.drill import Drill


@dataclass
class OneState:
    name: str
    healthy: bool
    on: bool = True


@dataclass
class Double:
    """Stands for a lab whose master-1 is not healthy before it is rebuilt, if ever."""

    sick: bool
    did: list[str] = field(default_factory=list)

    def names(self) -> list[str]:
        return ["master-1"]

    def states(self) -> list[OneState]:
        return [OneState("master-1", not self.sick)]

    def start(self, *names: str) -> None:
        self.did.append("start")

    def limit_cpu(self, name: str, percent: int | None) -> None: ...

    def heal(self, name: str) -> None: ...

    def mirror(self, *, up: bool) -> None: ...

    def wait(self, seconds: float, *names: str) -> float:
        if self.sick:
            raise LabError("the boot failed: master-1")
        return 1

    def destroy(self, name: str, *, keep_data: bool) -> None:
        self.did.append(f"destroy {name}")

    def rebuild(self, name: str) -> None:
        self.did.append(f"rebuild {name}")
        self.sick = False


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], Double]:
    """A cluster whose ZooKeeper and Consul are well; sick or not."""
    monkeypatch.setattr(healthy, "quorum", lambda lab: {"master-1": "leader"})
    for name in ("all_members_alive", "members_of", "resolves"):
        monkeypatch.setattr(healthy, name, lambda *_: ())
    return Double


def first_boot(lab: Double, run: Run) -> None:
    healthy.first_boot(cast("KeptLab", lab), Drill("first_boot", run))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr("scripts.drills.runs", lambda: tmp_path)
    return Run(commit="abc", started="2026-11-26T10:00:00Z")


def test_a_first_boot_that_does_not_complete_is_an_error_and_rebuilds_nothing(
    cluster: Callable[[bool], Double], run: Run
) -> None:
    lab = cluster(True)

    with pytest.raises(LabError, match="the boot failed"):
        first_boot(lab, run)
    assert lab.did == ["start"]
    assert json.loads((run.folder / "first_boot.json").read_text())["passed"] is False


def test_a_first_boot_that_completes_is_recorded_with_its_time(
    cluster: Callable[[bool], Double], run: Run
) -> None:
    first_boot(cluster(False), run)

    record = json.loads((run.folder / "first_boot.json").read_text())
    assert (record["passed"], record["run"]) == (True, run.id)
    assert record["seen"] == ["1 nodes healthy (0 s)", "quorum: master-1 leader (0 s)"]


def test_a_sick_cluster_that_no_failed_drill_explains_is_an_error_and_stays_as_it_is(
    cluster: Callable[[bool], Double],
) -> None:
    lab = cluster(True)

    with pytest.raises(LabError, match="the boot failed"):
        healthy.settle(cast("KeptLab", lab), failed_before=False)
    assert lab.did == []


def test_what_a_failed_drill_left_sick_is_rebuilt_for_the_next_one(
    cluster: Callable[[bool], Double],
) -> None:
    lab = cluster(True)

    healthy.settle(cast("KeptLab", lab), failed_before=True)
    assert lab.did == ["destroy master-1", "rebuild master-1"]
