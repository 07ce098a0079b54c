"""What a simulated cluster knows after it was started again."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from constructs_lib.errors import SimulatorError
from constructs_lib.simulator.cluster import Profile, SimulatedCluster
from constructs_lib.simulator.web import ask
from tests.simulator.cluster.conftest import Marathon

CHECK = [{"protocol": "HTTP", "gracePeriodSeconds": 300}]


def test_apps_and_their_tasks_are_the_same_afterwards(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with SimulatedCluster(state=state) as sim:
        marathon = Marathon(sim)
        marathon.deployed("/web", instances=2, healthChecks=CHECK, labels={"team": "a"})
        before, info = marathon.app("/web"), marathon.get("/info")
        ids = {marathon.put(f"/other/{number}")["deploymentId"] for number in range(20)}
    with SimulatedCluster(state=state) as sim:
        marathon = Marathon(sim)
        sim.advance(5)
        after = marathon.app("/web")

        assert [task["id"] for task in after["tasks"]] == [task["id"] for task in before["tasks"]]
        assert (after["version"], after["labels"], after["tasksHealthy"]) == (
            before["version"],
            {"team": "a"},
            2,
        )
        assert marathon.get("/info")["frameworkId"] == info["frameworkId"]
        assert not ids & {marathon.put(f"/more/{number}")["deploymentId"] for number in range(20)}
        marathon.deployed("/web", instances=3, healthChecks=CHECK, labels={"team": "a"})
        assert len({task["id"] for task in marathon.app("/web")["tasks"]}) == 3
        assert marathon.app("/web")["version"] > before["version"]


def test_a_deployment_goes_on_where_it_was(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with SimulatedCluster(state=state) as sim:
        marathon = Marathon(sim)
        marathon.deployed("/web", instances=2, healthChecks=CHECK)
        sim.profile("/web", Profile(healthy_after=20))
        made = marathon.put("/web", instances=2, healthChecks=CHECK, cpus=0.2)
        sim.advance(5)
    with SimulatedCluster(state=state) as sim:
        marathon = Marathon(sim)
        assert [one["id"] for one in marathon.get("/deployments")] == [made["deploymentId"]]
        sim.advance(60)

        assert marathon.get("/deployments") == []
        assert [task.cpus for task in sim.tasks("/web")] == [0.2, 0.2]


def test_jobs_keep_their_counters_and_their_time(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    job = {"name": "backup", "schedule": "R//PT1H", "command": "true"}
    with SimulatedCluster(state=state) as sim:
        ask(f"{sim.chronos_url}/v1/scheduler/iso8601", "POST", job)
        sim.advance(2 * 3600 + 10)
        before = ask(f"{sim.chronos_url}/v1/scheduler/job/backup")[1]
    with SimulatedCluster(state=state) as sim:
        assert ask(f"{sim.chronos_url}/v1/scheduler/job/backup")[1] == before
        sim.advance(3600)

        assert ask(f"{sim.chronos_url}/v1/scheduler/job/backup")[1]["successCount"] == 4


def test_what_happened_is_there_after_a_crash_too(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    sim = SimulatedCluster(state=state)
    sim.start()
    try:
        Marathon(sim).put("/web")
        sim.advance(10)
        _until_written(state, "/web")
        copied = state.read_text()
    finally:
        sim.stop()
    state.write_text(copied)
    with SimulatedCluster(state=state) as again:
        assert [app["id"] for app in Marathon(again).get("/apps")["apps"]] == ["/web"]


def _until_written(state: Path, id: str) -> None:
    import time

    ends = time.monotonic() + 30
    while id not in [app["spec"]["id"] for app in json.loads(state.read_text())["apps"]]:
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_the_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    with SimulatedCluster(state=tmp_path / "state.json"):
        assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"clustermesos-simulator": 1}', '{"clustermesos-simulator": 99}'],
)
def test_a_file_that_is_none_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    state = tmp_path / "state.json"
    state.write_text(text)
    with pytest.raises(SimulatorError, match=r"state\.json: .*move it away to begin anew"):
        SimulatedCluster(state=state)

    assert state.read_text() == text


def test_a_file_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    sim = SimulatedCluster(state=tmp_path / "no" / "state.json")
    with pytest.raises(SimulatorError, match="can't be written"), sim:
        pass

    with pytest.raises(OSError, match="refused"):
        ask(f"{sim.marathon_url}/ping")
