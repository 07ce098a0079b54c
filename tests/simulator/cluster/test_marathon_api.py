"""What Marathon's simulated API accepts and shows, and in which words it refuses."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.simulator.cluster import SimulatedCluster
from constructs_lib.simulator.web import ask
from tests.simulator.cluster.conftest import Marathon

REFUSED = json.loads((Path(__file__).parent / "refused" / "apps.json").read_text())


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_app_is_422_with_the_path(marathon: Marathon, case: str) -> None:
    status, body = marathon.ask("PUT", "/apps/web", REFUSED[case]["app"])

    assert (status, body["message"]) == (422, "Object is not valid")
    assert REFUSED[case]["path"] in [detail["path"] for detail in body["details"]]
    assert marathon.get("/apps") == {"apps": []}


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"app"', b""])
def test_what_is_no_app_is_400(marathon: Marathon, body: bytes) -> None:
    status, answer = marathon.ask("PUT", "/apps/web", body)

    assert (status, answer["message"]) == (400, "Invalid JSON")


def test_a_bad_id_is_refused(marathon: Marathon) -> None:
    assert marathon.ask("PUT", "/apps/Web_1", {"cmd": "a"})[0] == 422
    assert marathon.ask("PUT", "/apps/web", {"id": "/other", "cmd": "a"})[0] == 422


def test_what_is_not_there_is_404_and_an_unknown_route_500(marathon: Marathon) -> None:
    for method, path in (
        ("GET", "/apps/no"),
        ("DELETE", "/apps/no"),
        ("POST", "/apps/no/restart"),
        ("GET", "/apps/no/tasks"),
        ("DELETE", "/deployments/no"),
        ("DELETE", "/queue/no/delay"),
        ("GET", "/groups/no"),
    ):
        assert marathon.ask(method, path)[0] == 404, path
    assert marathon.ask("GET", "/no")[0] == 500


def test_an_app_can_be_created_once(marathon: Marathon) -> None:
    first, made = marathon.ask("POST", "/apps", {"id": "web", "cmd": "a"})
    second, refused = marathon.ask("POST", "/apps", {"id": "/web", "cmd": "a"})

    assert (first, made["id"], len(made["deployments"])) == (201, "/web", 1)
    assert (second, refused["message"]) == (409, "An app with id [/web] already exists.")


def test_a_partial_update_keeps_what_a_full_one_drops(marathon: Marathon) -> None:
    marathon.deployed("/web", env={"A": "1"}, labels={"team": "x"})
    marathon.ask("PUT", "/apps/web", {"cpus": 0.3})
    marathon.sim.advance(20)
    assert (marathon.app("/web")["env"], marathon.app("/web")["cpus"]) == ({"A": "1"}, 0.3)
    marathon.deployed("/web")

    assert (marathon.app("/web")["env"], marathon.app("/web")["labels"]) == ({}, {})


def test_what_is_not_said_is_filled_in(marathon: Marathon) -> None:
    marathon.ask("PUT", "/apps/web", {"cmd": "a", "healthChecks": [{}, {"protocol": "TCP"}]})
    app = marathon.app("/web")

    assert (app["cpus"], app["mem"], app["disk"], app["instances"]) == (1, 128, 0, 1)
    assert app["upgradeStrategy"] == {"minimumHealthCapacity": 1, "maximumOverCapacity": 1}
    http, tcp = app["healthChecks"]
    assert (http["protocol"], http["path"], http["portIndex"], http["gracePeriodSeconds"]) == (
        "HTTP",
        "/",
        0,
        300,
    )
    assert "path" not in tcp


def test_older_versions_are_kept_and_can_be_had_back(marathon: Marathon) -> None:
    marathon.deployed("/web", cpus=0.1)
    marathon.deployed("/web", cpus=0.2)
    newer, older = marathon.get("/apps/web/versions")["versions"]
    assert newer > older
    assert marathon.get(f"/apps/web/versions/{older}")["cpus"] == 0.1
    assert marathon.ask("PUT", "/apps/web", {"version": older})[0] == 200
    marathon.sim.advance(20)

    assert marathon.app("/web")["cpus"] == 0.1


def test_tasks_are_embedded_only_where_they_are_asked_for(marathon: Marathon) -> None:
    marathon.deployed("/web", healthChecks=[{}])
    (plain,) = marathon.get("/apps")["apps"]
    (full,) = marathon.get("/apps?embed=apps.tasks&embed=apps.counts")["apps"]

    assert "tasks" not in plain
    assert (plain["tasksRunning"], plain["tasksHealthy"], plain["deployments"]) == (1, 1, [])
    assert full["tasks"][0]["healthCheckResults"][0]["alive"] is True


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("team==a", ["/one"]),
        ("team!=a", ["/three", "/two"]),
        ("team in (a, b)", ["/one", "/two"]),
        ("team notin (a,b)", ["/three"]),
        ("team", ["/one", "/two"]),
        ("!team", ["/three"]),
        ("team,tier==x", ["/two"]),
        ("clustermesos/contract==web", ["/three"]),
    ],
)
def test_labels_select_apps(marathon: Marathon, selector: str, found: list[str]) -> None:
    marathon.put("/one", labels={"team": "a"})
    marathon.put("/two", labels={"team": "b", "tier": "x"})
    marathon.put("/three", labels={"clustermesos/contract": "web"})
    query = urllib.parse.quote(selector)

    assert sorted(app["id"] for app in marathon.get(f"/apps?label={query}")["apps"]) == found


def test_a_selector_that_is_none_is_refused(marathon: Marathon) -> None:
    assert marathon.ask("GET", "/apps?label=%3D%3D")[0] == 422


def test_groups_are_a_tree(marathon: Marathon) -> None:
    marathon.put("/shop/web/v1")
    marathon.put("/shop/web/v2")
    root = marathon.get("/groups?embed=group.apps")
    below = marathon.get("/groups/shop/web")

    assert [group["id"] for group in root["groups"]] == ["/shop"]
    assert [app["id"] for app in below["apps"]] == ["/shop/web/v1", "/shop/web/v2"]
    assert [app["id"] for app in marathon.get("/apps/shop/*")["*"]] == ["/shop/web/v1", "/shop/web/v2"]


def test_it_says_that_it_is_a_simulator(sim: SimulatedCluster, marathon: Marathon) -> None:
    assert "simulator" in marathon.get("/info")["simulator"]
    paths = {"mesos": "health", "marathon": "ping", "chronos": "ping", "agents": "10.20.64.10/health"}
    for program in sim.instances:
        with urllib.request.urlopen(f"{sim.urls(program)[0]}/{paths[program]}") as answer:
            assert answer.headers["Server"] == f"clustermesos-simulator-of-{program}"
    assert "simulator" in ask(f"{sim.mesos_url}/state")[1]["simulator"]


def test_a_login_is_asked_for() -> None:
    with SimulatedCluster(login="ops:secret") as sim:
        login = {"Authorization": "Basic b3BzOnNlY3JldA=="}
        for url in (f"{sim.marathon_url}/v2/apps", f"{sim.chronos_url}/v1/scheduler/jobs"):
            assert ask(url)[0] == 401
            assert ask(url, headers={"Authorization": "Basic b3BzOndyb25n"})[0] == 401
            assert ask(url, headers=login)[0] == 200
        assert ask(f"{sim.mesos_url}/slaves")[0] == 200


def test_deployments_are_told_as_events(marathon: Marathon) -> None:
    with urllib.request.urlopen(f"{marathon.sim.marathon_url}/v2/events", timeout=10) as stream:
        assert stream.readline() == b"event: event_stream_attached\n"
        made = marathon.put("/web")
        marathon.sim.advance(10)
        seen: dict[str, Any] = {}
        while "deployment_success" not in seen:
            kind = stream.readline().decode().removeprefix("event: ").strip()
            if kind and not kind.startswith("data"):
                seen[kind] = json.loads(stream.readline().decode().removeprefix("data: "))

    assert seen["deployment_success"]["id"] == made["deploymentId"]
    assert seen["status_update_event"]["taskStatus"] == "TASK_RUNNING"


def test_a_thousand_apps_are_listed_at_once() -> None:
    with SimulatedCluster(max_deployments=10_000) as sim:
        marathon = Marathon(sim)
        app = {"cmd": "a", "cpus": 0.001, "mem": 1, "healthChecks": [{}]}
        marathon.ask("PUT", "/apps", [{**app, "id": f"/app/{number}"} for number in range(1000)])
        sim.advance(30)
        began = time.process_time()
        apps = marathon.get("/apps?embed=apps.tasks&embed=apps.lastTaskFailure")["apps"]
        took = time.process_time() - began

    assert sum(app["tasksHealthy"] for app in apps) == 1000
    # Its own work and the test's reading: a bound against squares, not a measurement.
    assert took < 5
