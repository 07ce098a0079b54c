"""A drill that fails keeps what every machine wrote, against a double: no machine is booted here."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from constructs_lib.errors import LabError
from constructs_lib.lab import journals
from constructs_lib.lab.machine import Machine
from tests.lab.kept_journals import MOST, KeptJournals

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest
def test_that_breaks(lab): assert False, "its own words"
def test_that_is_not_healthy_before(lab): pass
def test_that_passes(lab): pass
def test_without_a_lab(): assert False
@pytest.mark.parametrize("name", ["a/b"])
def test_whose_keeper_is_gone(lab, name):
    lab.up = False
    assert False, "words of the last one"
"""
PLUGIN = """
import pytest
from pathlib import Path
from tests.lab.kept_journals import KeptJournals
HERE = Path(__file__).parent
JOURNALS = KeptJournals(lambda: HERE)

class Lab:
    up = True
    def journals(self, folder=None):
        if not self.up:
            raise EOFError("nobody answers")
        Path(folder).mkdir(parents=True)
        return folder

@pytest.fixture(scope="session")
def shared_lab():
    lab = Lab()
    yield lab
    lab.up = False

@pytest.fixture
def lab(shared_lab, request):
    assert "healthy" not in request.node.name, "master-1: unhealthy"
    return shared_lab

@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    JOURNALS.of_report(item, report)
    return report
"""


@pytest.mark.slow
def test_a_failed_drill_says_where_the_journals_are_and_still_says_why_it_failed(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text(PLUGIN)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path), "--rootdir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    broke, unhealthy = (
        tmp_path / "journals" / name for name in ("01-test_that_breaks", "02-test_that_is_not_healthy_before")
    )
    assert sorted((tmp_path / "journals").iterdir()) == [broke, unhealthy]
    for said in (
        "the machines' journals",
        str(broke),
        str(unhealthy),
        "AssertionError: its own words",
        "AssertionError: master-1: unhealthy",
        "AssertionError: words of the last one",
        "could not be collected: EOFError: nobody answers",
        "3 failed, 1 passed, 1 error",
    ):
        assert said in done.stdout


@dataclass
class Double:
    asked: list[str] = field(default_factory=list)

    def journals(self, folder: str | None = None) -> str:
        self.asked.append(folder or "")
        return folder or ""


def test_a_first_boot_that_fails_says_it_beside_its_error(tmp_path: Path) -> None:
    with (
        pytest.raises(LabError, match="the boot failed") as failed,
        KeptJournals(lambda: tmp_path).while_booting(Double(), "first_boot"),
    ):
        raise LabError("the boot failed: master-1")

    assert failed.value.__notes__ == [f"the machines' journals: {tmp_path}/journals/01-first_boot"]


def test_a_run_in_which_everything_fails_keeps_those_of_the_first_failures(tmp_path: Path) -> None:
    kept, lab = KeptJournals(lambda: tmp_path), Double()

    said = [kept.of_lab(lab, f"test_{number}[a/b]") for number in range(MOST + 2)]

    assert said[:MOST] == lab.asked
    assert said[0] == f"{tmp_path}/journals/01-test_0-a-b-"
    assert said[MOST:] == [f"not kept, since those of {MOST} failures of this run are"] * 2


@dataclass
class Files:
    """Of a machine only its name and its files."""

    name: str
    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"


def test_what_can_not_be_read_of_one_machine_is_said_and_the_end_of_a_long_text_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "BYTES", 9)
    one, other = (Files(name, tmp_path / name) for name in ("master-1", "master-2"))
    (one.root / "var/log/cloud-init.log").mkdir(parents=True)
    (other.root / "var/log").mkdir(parents=True)
    (other.root / "var/log/cloud-init.log").write_text("first line\nlast line")

    journals.collect(cast("list[Machine]", [one, other]), tmp_path / "kept")

    texts = {path.name: path.read_text() for path in (tmp_path / "kept").iterdir()}
    assert "can't be read: Is a directory" in texts["master-1.cloud-init.log"]
    assert texts["master-2.cloud-init.log"] == "last line"
    assert set(texts) == {f"{one.name}.cloud-init.log", f"{other.name}.cloud-init.log"} | {
        f"{name}.journal" for name in ("master-1", "master-2")
    }
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700
