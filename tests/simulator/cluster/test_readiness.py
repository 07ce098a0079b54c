"""Readiness checks of the simulator: deployments wait for them, and show what they say."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.simulator.cluster import Profile
from tests.simulator.cluster.conftest import Marathon

CHECK: dict[str, Any] = {"path": "/ready", "portName": "http", "intervalSeconds": 5, "timeoutSeconds": 2}


def asked(marathon: Marathon, id: str = "/web") -> Any:
    return marathon.get(f"/apps{id}?embed=app.readiness")["app"]["readinessCheckResults"]


def test_a_deployment_waits_until_its_instances_are_ready_and_says_which_are(marathon: Marathon) -> None:
    marathon.sim.profile("/web", Profile(ready_after=12))
    marathon.put("/web", readinessChecks=[CHECK])
    marathon.sim.advance(10)
    [task] = marathon.sim.tasks("/web")
    told = [{"name": "readinessCheck", "taskId": task.id, "ready": False}]

    [waiting] = marathon.get("/deployments")

    assert marathon.running("/web") == 1
    assert waiting["currentActions"][0]["readinessCheckResults"] == told == asked(marathon)
    marathon.sim.advance(10)
    assert marathon.get("/deployments") == [] == asked(marathon), "shown while a deployment runs"


def test_it_is_asked_at_its_interval_and_the_last_answer_is_kept_where_somebody_wants_it(
    marathon: Marathon,
) -> None:
    marathon.sim.profile("/web", Profile(ready_after=1))
    check = {**CHECK, "name": "warm", "preserveLastResponse": True, "httpStatusCodesForReady": [201]}
    marathon.put("/web", instances=2, readinessChecks=[check])
    marathon.sim.advance(5)

    assert [(one["name"], one["lastResponse"]["status"]) for one in asked(marathon)] == [("warm", 503)] * 2
    listed = marathon.get("/apps?embed=apps.readiness")["apps"][0]["readinessCheckResults"]
    assert listed == asked(marathon)
    marathon.sim.advance(5)
    assert marathon.get("/deployments") == []


def test_the_old_instances_stay_until_the_new_ones_are_ready(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=2, readinessChecks=[CHECK])
    marathon.sim.profile("/web", Profile(ready_after=None))

    marathon.put("/web", instances=2, readinessChecks=[CHECK], cpus=0.2)
    marathon.sim.advance(300)

    assert sorted(task.cpus for task in marathon.sim.tasks("/web")) == [0.1, 0.1, 0.2, 0.2]
    assert [one["ready"] for one in asked(marathon)] == [False, False]


def test_nothing_is_said_to_whoever_does_not_ask_or_has_no_check(marathon: Marathon) -> None:
    marathon.put("/web", readinessChecks=[CHECK])
    marathon.put("/plain")
    marathon.sim.advance(1.5)

    assert "readinessCheckResults" not in marathon.app("/web")
    assert asked(marathon, "/plain") == []


@pytest.mark.parametrize(
    ("check", "path"),
    [
        ({"name": 1}, "/readinessChecks(0)/name"),
        ({"httpStatusCodesForReady": ["200"]}, "/readinessChecks(0)/http"),
    ],
)
def test_a_check_of_another_shape_is_refused(marathon: Marathon, check: dict[str, Any], path: str) -> None:
    body = {"cmd": "a", "readinessChecks": [{**CHECK, **check}]}

    status, refused = marathon.ask("PUT", "/apps/web", body)

    assert status == 422 and path in str(refused["details"])
