"""Jobs of the simulator run when they are due, by its clock, and are refused in Chronos' words."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.simulator.cluster import Commands, Fault, Profile, SimulatedCluster
from constructs_lib.simulator.web import ask

HOUR = 3600
REFUSED = json.loads((Path(__file__).parent / "refused" / "jobs.json").read_text())


def put(sim: SimulatedCluster, name: str, schedule: str = "R//PT1H", **fields: Any) -> None:
    job = {"name": name, "schedule": schedule, "command": "true", **fields}
    status, body = ask(f"{sim.chronos_url}/v1/scheduler/iso8601", "POST", job)
    assert status == 204, body


def job(sim: SimulatedCluster, name: str) -> Any:
    status, body = ask(f"{sim.chronos_url}/v1/scheduler/job/{name}")
    assert status == 200, body
    return body


def states(sim: SimulatedCluster) -> dict[str, tuple[str, str]]:
    text = ask(f"{sim.chronos_url}/v1/scheduler/graph/csv")[1]
    rows = [line.split(",") for line in text.splitlines()]
    return {row[1]: (row[2], row[3]) for row in rows if row[0] == "node"}


def test_a_job_runs_each_time_it_is_due(sim: SimulatedCluster) -> None:
    put(sim, "backup")
    assert states(sim) == {"backup": ("fresh", "idle")}
    sim.advance(2.5)
    assert states(sim) == {"backup": ("fresh", "1 running")}
    sim.advance(5 * HOUR + 10)

    assert job(sim, "backup")["successCount"] == 6
    assert states(sim) == {"backup": ("success", "idle")}


def test_the_start_of_a_schedule_moves_with_each_run(sim: SimulatedCluster) -> None:
    put(sim, "backup", "R3/2026-11-23T17:00:00Z/PT1H")
    sim.advance(HOUR + 60)

    assert job(sim, "backup")["schedule"] == "R2/2026-11-23T18:00:00.000Z/PT1H"


def test_the_start_of_what_no_agent_takes_stays_until_it_is_launched_and_nothing_is_made_up_for(
    sim: SimulatedCluster,
) -> None:
    sim.inject(Fault(kind="no_offers", seconds=3 * HOUR - 40))
    put(sim, "backup", "R/2026-11-23T17:00:00Z/PT1H")
    sim.advance(3 * HOUR - 60)
    assert job(sim, "backup")["schedule"] == "R/2026-11-23T17:00:00.000Z/PT1H"
    assert states(sim) == {"backup": ("fresh", "queued")}

    sim.advance(30)
    sim.advance(20)

    assert job(sim, "backup")["schedule"] == "R/2026-11-23T19:00:00.000Z/PT1H"
    assert job(sim, "backup")["successCount"] == 1


def test_what_is_past_is_skipped_by_whole_periods(sim: SimulatedCluster) -> None:
    put(sim, "backup", "R/2026-11-19T03:30:00Z/P1D")

    assert job(sim, "backup")["schedule"] == "R/2026-11-24T03:30:00.000Z/P1D"


def test_skipped_runs_are_not_made_up_for(sim: SimulatedCluster) -> None:
    put(sim, "few", "R5/2026-11-20T03:30:00Z/P1D")

    assert job(sim, "few")["schedule"] == "R1/2026-11-24T03:30:00.000Z/P1D"


def test_months_are_as_long_as_they_are(sim: SimulatedCluster) -> None:
    put(sim, "report", "R/2026-11-30T00:00:00Z/P1M")
    sim.advance(7 * 24 * HOUR)

    assert job(sim, "report")["schedule"] == "R/2026-12-30T00:00:00.000Z/P1M"


def test_a_job_that_runs_once_is_disabled_afterwards(sim: SimulatedCluster) -> None:
    put(sim, "once", "R1//PT1H")
    sim.advance(10 * HOUR)

    assert (job(sim, "once")["successCount"], job(sim, "once")["disabled"]) == (1, True)


def test_a_disabled_job_does_not_run(sim: SimulatedCluster) -> None:
    put(sim, "off", disabled=True)
    sim.advance(5 * HOUR)

    assert states(sim) == {"off": ("fresh", "idle")}


def test_a_job_with_parents_runs_once_all_of_them_have(sim: SimulatedCluster) -> None:
    put(sim, "dump", "R1//PT1H")
    put(sim, "stop", "R1/2026-11-23T18:00:00Z/PT1H")
    body = {"name": "copy", "parents": ["dump", "stop"], "command": "true"}
    assert ask(f"{sim.chronos_url}/v1/scheduler/dependency", "POST", body)[0] == 204
    sim.advance(HOUR)
    assert job(sim, "copy")["successCount"] == 0
    sim.advance(2 * HOUR)

    assert job(sim, "copy")["successCount"] == 1


def test_a_failed_run_is_tried_again_and_then_counts_as_one_error(sim: SimulatedCluster) -> None:
    sim.profile("bad", Profile(fails_after=1, exit_code=3))
    put(sim, "bad", "R1//PT1H", retries=2)
    sim.advance(70)
    assert states(sim) == {"bad": ("fresh", "queued")}
    sim.advance(HOUR)

    stat = ask(f"{sim.chronos_url}/v1/scheduler/job/stat/bad")[1]
    assert [run["status"] for run in stat["taskStatHistory"]] == ["Fail"] * 3
    assert (job(sim, "bad")["errorCount"], job(sim, "bad")["errorsSinceLastSuccess"]) == (1, 1)
    assert states(sim)["bad"] == ("failure", "idle")


def test_a_job_that_failed_last_time_is_not_tried_again_the_next(sim: SimulatedCluster) -> None:
    sim.profile("bad", Profile(fails_after=1))
    put(sim, "bad", "R//PT1H", retries=1)
    sim.advance(HOUR - 60)
    assert len(sim.runs("bad")) == 2
    sim.advance(HOUR)

    assert len(sim.runs("bad")) == 3
    assert job(sim, "bad")["errorsSinceLastSuccess"] == 2


@pytest.mark.parametrize(("concurrent", "most"), [(False, 1), (True, 3)])
def test_a_job_runs_beside_itself_only_if_it_may(sim: SimulatedCluster, concurrent: bool, most: int) -> None:
    sim.profile("long", Profile(runs_seconds=150))
    put(sim, "long", "R//PT1M", concurrent=concurrent)
    seen = 0
    for _ in range(60):
        sim.advance(10)
        seen = max(seen, len(sim.tasks("long")))

    assert seen == most


def test_a_job_with_parents_waits_for_all_of_them_each_time(sim: SimulatedCluster) -> None:
    put(sim, "hourly", "R//PT1H")
    put(sim, "daily", "R//PT24H")
    body = {"name": "both", "parents": ["hourly", "daily"], "command": "true"}
    ask(f"{sim.chronos_url}/v1/scheduler/dependency", "POST", body)
    sim.advance(10 * HOUR)
    assert len(sim.runs("both")) == 1
    sim.advance(15 * HOUR)

    assert len(sim.runs("both")) == 2


def test_a_job_starts_by_hand_besides_its_schedule(sim: SimulatedCluster) -> None:
    put(sim, "backup", "R/2027-01-01T00:00:00Z/P1D")
    assert ask(f"{sim.chronos_url}/v1/scheduler/job/backup", "PUT")[0] == 204
    sim.advance(10)

    assert job(sim, "backup")["successCount"] == 1
    assert job(sim, "backup")["schedule"].startswith("R/2027-01-01")


def test_a_job_runs_where_its_constraint_says(sim: SimulatedCluster) -> None:
    put(sim, "here", constraints=[["hostname", "EQUALS", "10.20.64.12"]])
    put(sim, "nowhere", constraints=[["hostname", "EQUALS", "10.9.9.9"]])
    sim.advance(2)

    assert [(task.owner, task.agent.hostname) for task in sim.tasks()] == [("here", "10.20.64.12")]
    assert states(sim)["nowhere"] == ("fresh", "queued")


def test_a_replaced_job_keeps_its_counters_and_runs_once(sim: SimulatedCluster) -> None:
    put(sim, "backup", "R//PT1H")
    sim.advance(10)
    put(sim, "backup", "R/2026-11-23T17:00:00Z/PT1H", command="false")
    sim.advance(HOUR + 10)

    assert job(sim, "backup")["command"] == "false"
    assert job(sim, "backup")["successCount"] == 2


def test_a_frozen_framework_leaves_jobs_queued(sim: SimulatedCluster) -> None:
    sim.inject(Fault(kind="framework_inactive", program="chronos"))
    put(sim, "backup")
    sim.advance(HOUR)
    assert states(sim) == {"backup": ("fresh", "queued")}
    frameworks = ask(f"{sim.mesos_url}/master/frameworks")[1]["frameworks"]
    assert {one["name"]: one["active"] for one in frameworks} == {"marathon": True, "chronos-3.0.2": False}
    sim.heal()
    sim.advance(10)

    assert states(sim)["backup"][0] == "success"


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_job_is_refused(sim: SimulatedCluster, case: str) -> None:
    wanted = REFUSED[case]
    status, answer = ask(f"{sim.chronos_url}/v1/scheduler/iso8601", "POST", wanted["job"])

    assert (status, answer["status"]) == (wanted["status"], str(wanted["status"]))
    assert wanted["says"] in answer["message"]


def test_an_unknown_job_is_400_and_an_unknown_operator_is_dropped(sim: SimulatedCluster) -> None:
    put(sim, "a", constraints=[["hostname", "IS", "x"]])

    assert ask(f"{sim.chronos_url}/v1/scheduler/job/b")[0] == 400
    assert ask(f"{sim.chronos_url}/v1/scheduler/job/b", "DELETE")[0] == 400
    assert job(sim, "a")["constraints"] == []


def test_an_older_chronos_has_another_prefix() -> None:
    with SimulatedCluster(chronos_version="2") as sim:
        assert ask(f"{sim.chronos_url}/v1/scheduler/leader")[0] == 404
        assert ask(f"{sim.chronos_url}/scheduler/leader")[0] == 200


def test_commands_run_for_real_where_they_are_asked_to(tmp_path: Path) -> None:
    commands = Commands(
        folder=tmp_path,
        environ={"PATH": os.environ["PATH"], "WHO": "nobody"},
        replace={"/srv/data": str(tmp_path)},
    )
    with SimulatedCluster(commands=commands) as sim:
        put(
            sim,
            "write",
            "R1//PT1H",
            command='echo "$WHO $WHAT" > /srv/data/said',
            environmentVariables=[{"name": "WHAT", "value": "works"}],
        )
        put(sim, "fails", "R1//PT1H", command="echo no; exit 7", retries=0)
        sim.advance(10)

        assert (tmp_path / "said").read_text() == "nobody works\n"
        assert job(sim, "write")["successCount"] == 1
        assert job(sim, "fails")["errorCount"] == 1
        (run,) = sim.chronos.jobs["fails"].history
        assert (run.message, run.output) == ("Container exited with status 7", "no\n")
