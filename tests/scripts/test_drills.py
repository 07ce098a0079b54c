"""docs/drills.md is of one run, and says which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import drills
from scripts.drills import Run, chosen, lines
from scripts.progress import StepError
from tests.lab.drill import Drill


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(drills, "runs", lambda: tmp_path)
    return tmp_path


def ran(
    started: str,
    *names: str,
    whole: bool = True,
    seconds: float = 600,
    passed: bool = True,
    bound: float = 1200,
) -> Run:
    run = Run(commit="abc123", started=started, seconds=seconds, bound=bound, load=2.5, whole=whole)
    for name in names:
        drill = Drill(name, run)
        drill.breaks("a thing", "it heals")
        drill.saw("healed")
        drill.close(passed=passed)
    run.save()
    return run


def test_the_page_is_of_the_newest_whole_run_alone() -> None:
    ran("2026-11-26T09:00:00Z", "old", "other")
    newest = ran("2026-11-26T10:00:00Z", "one", "two")
    ran("2026-11-26T11:00:00Z", "one", whole=False)
    run, found = chosen(None)

    assert run == newest
    assert [drill["name"] for drill in found] == ["one", "two"]


def test_the_page_says_which_run_what_it_took_and_what_was_seen() -> None:
    ran("2026-11-26T10:00:00Z", "leader_killed")
    page = "\n".join(lines(*chosen(None)))

    assert "one run of `tests/lab`, of all drills: begun 2026-11-26T10:00:00Z, commit `abc123`." in page
    assert "The lab part took 600 s of at most 1200 (load average 2.5)." in page
    assert "## Leader killed\n\n* Broken: a thing.\n* Promised: it heals.\n* Seen: healed (0 s)." in page


def test_a_drill_that_failed_and_a_run_that_was_too_long_stand_out() -> None:
    ran("2026-11-26T10:00:00Z", "leader_killed", seconds=1300, passed=False)
    page = "\n".join(lines(*chosen(None)))

    assert "## Leader killed: **not kept**" in page
    assert "took 1300 s of at most 1200, which is **too long**" in page


def test_another_bound_of_a_run_is_told_beside_the_usual_one() -> None:
    ran("2026-11-26T10:00:00Z", "leader_killed", bound=2400)

    page = "\n".join(lines(*chosen(None)))
    assert "took 600 s of at most 2400, 1200 on a machine that does nothing else (load average 2.5)." in page


def test_a_run_of_some_drills_is_written_only_where_it_is_asked_for() -> None:
    run = ran("2026-11-26T10:00:00Z", "one", whole=False)

    with pytest.raises(StepError, match=r"of tests that were picked: .*run all of them: make drills"):
        chosen(None)
    assert "of **some** drills" in "\n".join(lines(*chosen(run.id)))


def test_an_unknown_run_is_refused_with_those_that_there_are() -> None:
    run = ran("2026-11-26T10:00:00Z", "one")

    with pytest.raises(StepError, match=f"run: got 'x', expected one that has ended: {run.id}"):
        chosen("x")


def test_a_record_of_another_run_is_never_mixed_in() -> None:
    run = ran("2026-11-26T10:00:00Z", "one")
    (run.folder / "two.json").write_text(json.dumps({"name": "two", "run": "another"}))

    with pytest.raises(StepError, match="two is not of this run"):
        chosen(None)


def test_a_run_that_has_not_ended_is_on_no_page() -> None:
    run = Run(commit="abc123", started="2026-11-26T10:00:00Z")
    Drill("one", run).close(passed=True)

    with pytest.raises(StepError, match="no run of all drills has ended here"):
        chosen(None)


def test_a_run_knows_its_commit_and_its_start() -> None:
    run = drills.begun()

    assert run.commit == "unknown" or run.commit.rstrip("+").isalnum()
    assert run.id.startswith(run.started[:10])
