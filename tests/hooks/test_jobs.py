"""Jobs are kept as contracts say, and others' are left alone; against the simulator's Chronos."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from constructs_lib.hooks.chronos import Chronos
from constructs_lib.hooks.hook import Outcome
from constructs_lib.hooks.jobs import Jobs
from constructs_lib.hooks.pipeline import run_hook
from constructs_lib.simulator.cluster import Fault, Profile, SimulatedCluster
from constructs_lib.simulator.cluster.world import iso
from tests.hooks.simulated import client_of, compiled, contract, time_of

HOURLY = {
    "name": "shop.backup",
    "schedule": "R//PT1H",
    "command": "true",
    "cpus": 0.1,
    "mem": 64,
    "retries": 1,
}
AFTER: dict[str, Any] = {
    "name": "shop.after",
    "parents": ["shop.backup"],
    "command": "true",
    "cpus": 0.1,
    "mem": 64,
}


@pytest.fixture
def sim() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(masters=2) as cluster:
        yield cluster


@pytest.fixture
def chronos(sim: SimulatedCluster) -> Iterator[Chronos]:
    with closing(client_of(sim, "chronos", seconds=10**6)) as client:
        yield Chronos(client)


def run(chronos: Chronos, *jobs: dict[str, Any], prune: bool = False, later: float = 0) -> Outcome:
    """`later` seconds after the simulator's time."""
    said: list[str] = []
    wanted = compiled(contract("shop", jobs=jobs)) if jobs else compiled()
    return run_hook(Jobs(chronos, wanted, prune=prune, now=lambda: time_of(chronos) + later), said.append)


def test_jobs_are_made_parents_first_and_then_left_alone(chronos: Chronos) -> None:
    first = run(chronos, AFTER, HOURLY)

    assert [(change.action, change.name) for change in first.changes] == [
        ("create", "shop.backup"),
        ("create", "shop.after"),
    ]
    assert first.good
    before = chronos.client.requests
    again = run(chronos, AFTER, HOURLY)
    assert (again.changes, again.good) == ((), True)
    assert chronos.client.requests == before + 1


def test_a_schedule_that_chronos_moved_on_is_no_change(sim: SimulatedCluster, chronos: Chronos) -> None:
    run(chronos, HOURLY)
    sim.advance(3 * 3600)

    outcome = run(chronos, HOURLY)

    assert outcome.changes == ()
    (verdict,) = outcome.verdicts
    assert "last succeeded" in verdict.says


def test_another_command_and_another_schedule_are_changes(chronos: Chronos) -> None:
    run(chronos, HOURLY)
    (change,) = run(chronos, {**HOURLY, "command": "false"}).changes
    assert (change.action, change.details) == (
        "update",
        ("its contract has changed", "command: 'true' → 'false'"),
    )
    (change,) = run(chronos, {**HOURLY, "command": "false", "schedule": "R//PT2H"}).changes
    assert change.details == ("its contract has changed",)


def test_what_somebody_changed_by_hand_is_put_back(chronos: Chronos) -> None:
    run(chronos, HOURLY)
    (job,) = chronos.jobs()
    chronos.put({**job, "command": "rm -rf /srv"})

    (change,) = run(chronos, HOURLY).changes

    assert change.details == ("command: 'rm -rf /srv' → 'true'",)
    assert chronos.jobs()[0]["command"] == "true"


def test_an_environment_is_named_and_not_shown(chronos: Chronos) -> None:
    run(chronos, {**HOURLY, "environmentVariables": [{"name": "A", "value": "hush"}]})
    (change,) = run(chronos, {**HOURLY, "environmentVariables": [{"name": "A", "value": "hushed"}]}).changes

    assert "hush" not in str(change)
    assert "environmentVariables" in change.details


def test_a_job_that_no_contract_names_goes_only_with_prune(chronos: Chronos) -> None:
    run(chronos, HOURLY)
    kept = run(chronos)
    assert [change.action for change in kept.changes] == ["keep"]
    assert len(chronos.jobs()) == 1

    run(chronos, prune=True)
    assert chronos.jobs() == ()


def test_somebody_elses_job_is_neither_replaced_nor_deleted(chronos: Chronos) -> None:
    chronos.put({**HOURLY, "owner": "alice@example.org"})

    outcome = run(chronos, HOURLY)
    (verdict,) = outcome.verdicts
    assert not verdict.good
    assert "belongs to alice@example.org, not to clustermesos:demo" in verdict.says
    assert run(chronos, prune=True).changes == ()
    assert chronos.jobs()[0]["owner"] == "alice@example.org"


def test_a_job_that_failed_is_not_good_and_names_the_command_that_helps(
    sim: SimulatedCluster, chronos: Chronos
) -> None:
    sim.profile("shop.backup*", Profile(fail_rate=1.0))
    run(chronos, {**HOURLY, "retries": 0})
    sim.advance(600)

    outcome = run(chronos, {**HOURLY, "retries": 0})
    (verdict,) = outcome.verdicts

    assert not outcome.good
    assert verdict.says.startswith("failed once and never succeeded; last at 20")
    assert verdict.try_next == "clustermesos backups shop.backup"


def test_a_backup_that_succeeded_longer_ago_than_its_schedule_allows_is_overdue(
    sim: SimulatedCluster, chronos: Chronos
) -> None:
    hourly = {**HOURLY, "schedule": "R/2026-01-05T00:00:00Z/PT1H"}
    run(chronos, hourly)
    sim.advance(3600)
    (last,) = (job["lastSuccess"] for job in chronos.jobs())

    # A quarter of its interval and half an hour more are allowed; the frozen Chronos starts nothing.
    assert run(chronos, hourly, later=0).good
    outcome = run(chronos, hourly, later=1.75 * 3600 + 60)

    (verdict,) = outcome.verdicts
    assert not outcome.good
    assert verdict.says == f"overdue: last succeeded {last}, and it runs hourly at minute 0"
    assert verdict.try_next == "clustermesos backups shop.backup"


def test_a_backup_whose_restore_test_is_overdue_is_not_green(sim: SimulatedCluster, chronos: Chronos) -> None:
    test = {**HOURLY, "name": "shop.restore-test", "schedule": "R/2026-01-05T00:30:00Z/PT1H"}
    often = {**HOURLY, "schedule": "R/2026-01-05T00:00:00Z/P7D"}
    run(chronos, often, test)
    sim.advance(8 * 24 * 3600)

    backup, tested = run(chronos, often, test, later=3 * 3600).verdicts

    assert (backup.good, tested.good) == (False, False)
    assert "its restore test is overdue: last succeeded" in backup.says
    assert backup.try_next == "clustermesos backups shop.restore-test"


DUMP = {**HOURLY, "name": "shop.dump", "schedule": "R/2026-01-05T00:10:00Z/PT1H"}
DUMPED: dict[str, Any] = {**AFTER, "name": "shop.backup", "parents": ["shop.dump"]}


@pytest.mark.parametrize("days", [10, 40])
def test_a_backup_after_a_dump_is_overdue_as_the_dump_is(
    sim: SimulatedCluster, chronos: Chronos, days: int
) -> None:
    run(chronos, DUMP, DUMPED)
    sim.advance(2 * 3600)
    last = {str(job["name"]): job["lastSuccess"] for job in chronos.jobs()}

    assert run(chronos, DUMP, DUMPED).good
    backup, dump = run(chronos, DUMP, DUMPED, later=days * 24 * 3600).verdicts

    assert not backup.good and not dump.good
    words = "and it runs after shop.dump, hourly at minute 10"
    assert backup.says == f"overdue: last succeeded {last['shop.backup']}, {words}"


def test_a_backup_that_never_ran_is_overdue_although_its_dump_never_ran_either(
    sim: SimulatedCluster, chronos: Chronos
) -> None:
    sim.inject(Fault(kind="no_offers", seconds=10**6))
    run(chronos, DUMP, DUMPED)

    backup, _ = run(chronos, DUMP, DUMPED, later=10 * 24 * 3600).verdicts

    assert not backup.good and backup.says.startswith("overdue: has not succeeded yet, and was due 20")


def test_a_backup_that_never_follows_its_dump_is_overdue(sim: SimulatedCluster, chronos: Chronos) -> None:
    sim.profile("shop.backup*", Profile(runs_seconds=10**7))
    run(chronos, DUMP, DUMPED)
    while not all(job["lastSuccess"] for job in chronos.jobs() if job["name"] == "shop.dump"):
        sim.advance(60)

    early, _ = run(chronos, DUMP, DUMPED).verdicts
    backup, dump = run(chronos, DUMP, DUMPED, later=3000).verdicts

    assert early.good and dump.good
    assert not backup.good and backup.says.startswith("overdue: has not succeeded yet, and was due 20")


@pytest.mark.parametrize(("word", "minutes"), [("backup", 45), ("check", 60)])
def test_a_job_that_never_ran_is_overdue_once_that_is_as_long_ago_as_for_others(
    sim: SimulatedCluster, chronos: Chronos, word: str, minutes: int
) -> None:
    one = {**HOURLY, "name": f"shop.{word}", "schedule": "R/2026-01-05T00:10:00Z/PT1H"}
    sim.inject(Fault(kind="no_offers", seconds=10**6))
    run(chronos, one)
    (due,) = (str(job["schedule"]).split("/")[1] for job in chronos.jobs())
    late = datetime.fromisoformat(due).timestamp() + minutes * 60 - time_of(chronos)

    (waits,) = run(chronos, one, later=late - 1).verdicts
    (verdict,) = run(chronos, one, later=late + 1).verdicts

    assert waits.good and waits.says == "hourly at minute 10; has not run yet"
    assert not verdict.good
    told = f"overdue: has not succeeded yet, and was due {due[:19]}Z, and it runs hourly at minute 10"
    assert verdict.says == told
    assert verdict.try_next == f"clustermesos backups shop.{word}"


def test_what_is_sent_is_due_in_the_time_that_is_to_come(
    chronos: Chronos, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Mapping[str, Any]] = []
    put = chronos.put

    def seen(job: Mapping[str, Any]) -> None:
        sent.append(job)
        put(job)

    monkeypatch.setattr(chronos, "put", seen)
    run(chronos, {**HOURLY, "schedule": "R/2026-01-05T00:10:00Z/PT1H"})

    (due,) = (datetime.fromisoformat(str(job["schedule"]).split("/")[1]).timestamp() for job in sent)
    # Else Chronos starts it as soon as it has it.
    assert 0 <= due - time_of(chronos) <= 3600


def test_a_job_that_runs_more_often_from_now_on_is_not_overdue_in_the_run_that_changed_it(
    sim: SimulatedCluster, chronos: Chronos
) -> None:
    run(chronos, {**HOURLY, "schedule": "R/2026-01-05T00:00:00Z/P7D"})
    sim.advance(8 * 24 * 3600)

    changed = run(chronos, HOURLY, later=3 * 24 * 3600)

    assert [change.action for change in changed.changes] == ["update"]
    assert changed.good


def test_the_time_is_asked_for_only_where_something_can_be_overdue(chronos: Chronos) -> None:
    run(chronos, HOURLY)
    before = chronos.client.requests

    run(chronos, HOURLY)

    assert chronos.client.requests == before + 1


def test_a_leader_that_changes_in_the_middle_is_followed(sim: SimulatedCluster, chronos: Chronos) -> None:
    run(chronos, HOURLY)
    sim.change_leader("chronos", seconds=4)

    assert run(chronos, HOURLY, AFTER).good


@pytest.mark.parametrize("kind", ["half_answer", "html", "no_answer", "lost_answer"])
def test_a_broken_answer_in_the_middle_ends_in_the_same_jobs(
    sim: SimulatedCluster, chronos: Chronos, kind: Any
) -> None:
    sim.inject(Fault(kind=kind, program="chronos", calls=2))

    assert run(chronos, HOURLY, AFTER).good
    assert len(chronos.jobs()) == 2


BREAKS: dict[str, Fault] = {
    "401": Fault(kind="status", status=401, calls=1),
    "403": Fault(kind="status", status=403, calls=1),
    "404": Fault(kind="status", status=404, calls=1),
    "409": Fault(kind="status", status=409, calls=1),
    "422": Fault(kind="status", status=422, calls=1),
    "500": Fault(kind="status", status=500, calls=3),
}
PASSES: dict[str, Fault] = {
    "500 of a leader that comes up": Fault(kind="status", status=500, calls=2),
    "503": Fault(kind="status", status=503, calls=3),
    "slow": Fault(kind="slow", delay=0.2),
    "html": Fault(kind="html", calls=2),
    "half_answer": Fault(kind="half_answer"),
    "leader_change": Fault(kind="leader_change", seconds=4),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_no_in_the_middle_is_one_line_and_the_next_run_finishes(
    sim: SimulatedCluster, chronos: Chronos, name: str
) -> None:
    sim.inject(replace(BREAKS[name], program="chronos", method="POST", after=1))

    outcome = run(chronos, HOURLY, AFTER)

    # A job that can't be is that job's verdict, and all else ends the hook.
    refused = [one.says for one in outcome.verdicts if not one.good]
    told = " ".join(refused) if name == "422" else str(outcome.error)
    assert f": {name} " in told and "\n" not in told
    assert [job["name"] for job in chronos.jobs()] == ["shop.backup"], "what was done before stays"
    again = run(chronos, HOURLY, AFTER)
    assert again.good and [change.name for change in again.changes] == ["shop.after"]


@pytest.mark.parametrize("name", PASSES)
def test_a_trouble_that_passes_ends_in_the_same_jobs(
    sim: SimulatedCluster, chronos: Chronos, name: str
) -> None:
    sim.inject(replace(PASSES[name], program="chronos", method="POST", after=1))

    assert run(chronos, HOURLY, AFTER).good
    assert sorted(job["name"] for job in chronos.jobs()) == ["shop.after", "shop.backup"]
    assert not sim.faults.listed(), "it has hit a request"


def test_a_refused_job_keeps_no_other_from_being_made(chronos: Chronos) -> None:
    bad = {**HOURLY, "name": "aaa.backup", "schedule": "whenever"}
    after = {**AFTER, "name": "aaa.after", "parents": ["aaa.backup"]}
    outcome = run(chronos, bad, after, HOURLY)

    says = {one.name: (one.good, one.says) for one in outcome.verdicts}
    assert outcome.error is None
    assert says["shop.backup"][0] and not says["aaa.backup"][0]
    assert "was refused: " in says["aaa.backup"][1] and "Cannot parse schedule" in says["aaa.backup"][1]
    assert says["aaa.after"] == (False, "was not sent: it runs after aaa.backup, which was refused")
    assert [job["name"] for job in chronos.jobs()] == ["shop.backup"]
    assert run(chronos, {**bad, "schedule": "R//PT1H"}, after, HOURLY).good


def test_a_change_that_is_refused_is_not_good_although_the_former_job_is_there(chronos: Chronos) -> None:
    run(chronos, HOURLY)

    (verdict,) = run(chronos, {**HOURLY, "schedule": "whenever"}).verdicts

    assert not verdict.good and "was refused: " in verdict.says


def test_a_name_that_somebody_else_has_keeps_no_other_job_from_being_made(chronos: Chronos) -> None:
    foreign = {**HOURLY, "name": "aaa.backup"}
    chronos.put({**foreign, "owner": "alice@example.org"})
    after = {**AFTER, "name": "aaa.after", "parents": ["aaa.backup"]}

    outcome = run(chronos, foreign, after, HOURLY)

    assert [(one.action, one.name) for one in outcome.changes] == [
        ("keep", "aaa.backup"),
        ("create", "shop.backup"),
        ("keep", "aaa.after"),
    ]
    assert {one.name: one.good for one in outcome.verdicts} == {
        "aaa.after": False,
        "aaa.backup": False,
        "shop.backup": True,
    }
    assert sorted(str(job["name"]) for job in chronos.jobs()) == ["aaa.backup", "shop.backup"]


def test_two_jobs_of_one_name_in_other_clusters_are_a_clear_error(chronos: Chronos) -> None:
    run(chronos, HOURLY)
    other = Jobs(chronos, compiled(contract("shop", jobs=(HOURLY,))))
    other._cluster = "prod"

    (change,) = other.diff(other.read())

    assert change.action == "keep" and "belongs to clustermesos:demo" in change.details[0]


def test_a_job_that_fails_now_tells_when_it_succeeded_last(sim: SimulatedCluster, chronos: Chronos) -> None:
    run(chronos, HOURLY)
    sim.advance(600)
    sim.profile("shop.backup*", Profile(fail_rate=1.0))
    sim.advance(3 * 3600)

    (verdict,) = run(chronos, HOURLY).verdicts

    assert re.match(r"failed \d+ times since it last succeeded, 20\S+; last at 20", verdict.says), (
        verdict.says
    )


TESTED = {**HOURLY, "name": "shop.restore-test", "schedule": "R//P1D"}


def test_a_backup_is_green_only_once_a_restore_proved_it(sim: SimulatedCluster, chronos: Chronos) -> None:
    later = {**TESTED, "schedule": f"R/{iso(sim.now() + 7200)}/P1D"}
    run(chronos, HOURLY, later)
    sim.advance(600)

    outcome = run(chronos, HOURLY, later)
    backup, test = outcome.verdicts
    assert outcome.good
    assert (backup.mark, test.mark) == ("?", "ok")
    assert "last succeeded" in backup.says and backup.says.endswith("; no restore has proved it yet")

    sim.advance(7200)
    backup, _ = run(chronos, HOURLY, later).verdicts
    assert (backup.mark, "; proved by a restore 20" in backup.says) == ("ok", True)


def test_a_backup_whose_restore_test_failed_last_is_not_good_although_it_succeeds_itself(
    sim: SimulatedCluster, chronos: Chronos
) -> None:
    sim.profile("shop.restore-test*", Profile(fail_rate=1.0))
    run(chronos, HOURLY, {**TESTED, "retries": 0})
    sim.advance(600)

    backup, test = run(chronos, HOURLY, {**TESTED, "retries": 0}).verdicts

    assert (backup.mark, test.mark) == ("NOT", "NOT")
    assert (
        "last succeeded" in backup.says and "its restore test failed once and never succeeded" in backup.says
    )
    assert backup.try_next == "clustermesos backups shop.restore-test"


def test_each_node_s_backup_is_proved_by_that_node_s_restore_test(chronos: Chronos) -> None:
    names = ["backup.10-20-16-4", "restore-test.10-20-16-4", "backup.10-20-16-5"]

    found = {
        one.name: one.mark
        for one in run(chronos, *({**TESTED, "name": f"shop.{name}"} for name in names)).verdicts
    }

    assert found["shop.backup.10-20-16-4"] == "?"
    assert found["shop.backup.10-20-16-5"] == "ok", "no test of it is wanted"
