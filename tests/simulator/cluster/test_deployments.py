"""Deployments of the simulator: they take time, lock their apps, and go on for ever where they can't end."""

from __future__ import annotations

import pytest

from constructs_lib.simulator.cluster import Fault, Profile, SimulatedCluster
from tests.simulator.cluster.conftest import Marathon

CHECK = [{"protocol": "HTTP", "gracePeriodSeconds": 5, "intervalSeconds": 2, "maxConsecutiveFailures": 3}]


def test_an_app_is_staged_then_running_then_healthy(marathon: Marathon) -> None:
    marathon.put("/web", instances=2, healthChecks=CHECK)
    counts = []
    for _ in range(4):
        marathon.sim.advance(1)
        app = marathon.app("/web")
        counts.append((app["tasksStaged"], app["tasksRunning"], app["tasksHealthy"]))

    assert counts == [(0, 0, 0), (2, 0, 0), (0, 2, 0), (0, 2, 2)]
    assert marathon.get("/deployments") == []


def test_a_deployment_says_where_it_is_and_locks_its_app(marathon: Marathon) -> None:
    made = marathon.put("/web", instances=2)
    marathon.sim.advance(0.5)
    (shown,) = marathon.get("/deployments")
    status, refused = marathon.ask("PUT", "/apps/web", {"cpus": 0.2})

    assert (shown["id"], shown["affectedApps"]) == (made["deploymentId"], ["/web"])
    assert (shown["currentStep"], shown["totalSteps"]) == (2, 2)
    assert shown["currentActions"] == [
        {"action": "ScaleApplication", "app": "/web", "readinessCheckResults": []}
    ]
    assert status == 409
    assert refused["deployments"] == [{"id": made["deploymentId"]}]
    assert "force=true" in refused["message"]


def test_force_gives_the_older_deployment_up(marathon: Marathon) -> None:
    older = marathon.put("/web", instances=2)["deploymentId"]
    status, made = marathon.ask("PUT", "/apps/web?force=true", {"instances": 1})

    assert status == 200
    assert [one["id"] for one in marathon.get("/deployments")] == [made["deploymentId"]] != [older]
    marathon.sim.advance(10)
    assert marathon.running("/web") == 1


def test_a_changed_app_starts_the_new_before_it_ends_the_old(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=2, healthChecks=CHECK)
    marathon.put("/web", instances=2, healthChecks=CHECK, cpus=0.2)
    seen = []
    for _ in range(12):
        marathon.sim.advance(0.5)
        seen.append(sum(task.state == "TASK_RUNNING" for task in marathon.sim.tasks("/web")))

    assert min(seen) == 2 < max(seen)
    assert {task.cpus for task in marathon.sim.tasks("/web")} == {0.2}
    assert marathon.get("/deployments") == []


def test_half_the_capacity_kills_half_at_once(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=4)
    half = {"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0}
    marathon.put("/web", instances=4, cpus=0.2, upgradeStrategy=half)
    marathon.sim.advance(0.5)

    assert len(marathon.sim.tasks("/web")) == 2
    marathon.sim.advance(30)
    assert [task.cpus for task in marathon.sim.tasks("/web")] == [0.2] * 4


def test_a_new_version_with_fewer_instances_ends_old_ones_at_once(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=4)
    marathon.put("/web", instances=1, cpus=0.2)
    marathon.sim.advance(0.5)

    assert len(marathon.sim.tasks("/web")) == 1


def test_a_deployment_whose_tasks_never_get_healthy_does_not_end_by_itself(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=1, healthChecks=CHECK)
    marathon.sim.profile("/web", Profile(healthy_after=None))
    marathon.put("/web", instances=1, healthChecks=CHECK, cpus=0.2)
    marathon.sim.advance(3600)

    (stuck,) = marathon.get("/deployments")
    assert stuck["currentActions"][0]["action"] == "RestartApplication"
    failed = marathon.app("/web")["lastTaskFailure"]
    assert failed["state"] == "TASK_KILLED"
    assert "health check failed" in failed["message"]


def test_deleting_a_deployment_is_a_new_one_of_the_old_version(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=1, healthChecks=CHECK)
    marathon.sim.profile("/web", Profile(fails_after=0.1))
    made = marathon.put("/web", instances=1, healthChecks=CHECK, cpus=0.2)
    marathon.sim.advance(5)
    marathon.sim.profile("/web", Profile())
    status, back = marathon.ask("DELETE", f"/deployments/{made['deploymentId']}")

    assert status == 200
    assert [one["id"] for one in marathon.get("/deployments")] == [back["deploymentId"]]
    marathon.sim.advance(30)
    assert marathon.app("/web")["cpus"] == 0.1
    assert marathon.get("/deployments") == []


def test_deleting_a_deployment_by_force_leaves_a_mixture(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=2, healthChecks=CHECK)
    marathon.sim.profile("/web", Profile(fails_after=0.1))
    made = marathon.put("/web", instances=2, healthChecks=CHECK, cpus=0.2)
    marathon.sim.advance(5)

    assert marathon.ask("DELETE", f"/deployments/{made['deploymentId']}?force=true")[0] == 202
    assert marathon.get("/deployments") == []
    assert marathon.app("/web")["cpus"] == 0.2
    assert {task.cpus for task in marathon.sim.tasks("/web") if task.state == "TASK_RUNNING"} == {0.1}


def test_apps_sent_together_are_one_deployment(marathon: Marathon) -> None:
    apps = [{"id": f"/shop/{name}", "cmd": "sleep 1", "cpus": 0.1} for name in "ab"]
    status, made = marathon.ask("PUT", "/apps", apps)

    (shown,) = marathon.get("/deployments")
    assert status == 200
    assert (shown["id"], shown["affectedApps"]) == (made["deploymentId"], ["/shop/a", "/shop/b"])
    marathon.sim.advance(10)
    assert (marathon.running("/shop/a"), marathon.running("/shop/b")) == (1, 1)


def test_a_deleted_app_is_there_until_its_last_task_has_ended(marathon: Marathon) -> None:
    marathon.sim.profile("/web", Profile(stop_seconds=5))
    marathon.deployed("/web", taskKillGracePeriodSeconds=10)
    marathon.ask("DELETE", "/apps/web")
    marathon.sim.advance(3)
    assert marathon.app("/web")["tasks"][0]["state"] == "TASK_KILLING"
    marathon.sim.advance(3)

    assert marathon.ask("GET", "/apps/web")[0] == 404


def test_sending_the_same_app_again_changes_nothing(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=2, healthChecks=CHECK)
    before, tasks = marathon.app("/web"), {task.id for task in marathon.sim.tasks("/web")}
    marathon.deployed("/web", instances=2, healthChecks=CHECK)

    assert marathon.app("/web") == before
    assert {task.id for task in marathon.sim.tasks("/web")} == tasks


def test_a_restart_replaces_every_task(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=2)
    before = {task.id for task in marathon.sim.tasks("/web")}
    assert marathon.ask("POST", "/apps/web/restart")[0] == 200
    marathon.sim.advance(20)

    after = {task.id for task in marathon.sim.tasks("/web")}
    assert len(after) == 2
    assert not before & after


def test_more_deployments_than_allowed_are_refused() -> None:
    with SimulatedCluster(max_deployments=1) as sim:
        marathon = Marathon(sim)
        marathon.put("/a")
        status, body = marathon.ask("PUT", "/apps/b", {"cmd": "sleep 1"})

    assert status == 403
    assert "running deployments" in body["message"]


def test_a_stuck_deployment_goes_on_once_it_is_healed(marathon: Marathon) -> None:
    marathon.put("/web/first")
    marathon.sim.inject(Fault(kind="deployment_stuck", target="/web/*"))
    marathon.put("/web/second")
    marathon.put("/other")
    marathon.sim.advance(600)
    stuck = [one["affectedApps"] for one in marathon.get("/deployments")]
    assert stuck == [["/web/first"], ["/web/second"]]
    marathon.sim.heal()
    marathon.sim.advance(30)

    assert marathon.get("/deployments") == []


@pytest.mark.parametrize("scale", [True, False])
def test_killing_tasks_starts_others_unless_it_scales(marathon: Marathon, scale: bool) -> None:
    marathon.deployed("/web", instances=3)
    victim = marathon.sim.tasks("/web")[0].id
    path = f"/tasks/delete?scale={str(scale).lower()}"
    status, answer = marathon.ask("POST", path, {"ids": [victim, "gone.instance-1._app.1"]})
    marathon.sim.advance(10)

    assert status == 200
    assert ("deploymentId" in answer) == scale
    assert marathon.app("/web")["instances"] == marathon.running("/web") == (2 if scale else 3)
    assert victim not in {task.id for task in marathon.sim.tasks("/web")}


def test_killing_the_tasks_of_one_host_leaves_the_others(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=3, constraints=[["hostname", "UNIQUE"]])
    host = marathon.sim.tasks("/web")[0].agent.hostname
    assert marathon.ask("DELETE", f"/apps/web/tasks?host={host}&scale=true")[0] == 200
    marathon.sim.advance(10)

    assert marathon.app("/web")["instances"] == 2
    assert host not in {task.agent.hostname for task in marathon.sim.tasks("/web")}


def test_an_upgrade_keeps_within_its_floor_and_its_ceiling(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=4, healthChecks=CHECK)
    quarter = {"minimumHealthCapacity": 1, "maximumOverCapacity": 0.25}
    marathon.put("/web", instances=4, healthChecks=CHECK, cpus=0.2, upgradeStrategy=quarter)
    for _ in range(300):
        marathon.sim.advance(0.1)
        tasks = marathon.sim.tasks("/web")
        assert marathon.sim.healthy("/web") >= 4
        assert len(tasks) <= 5

    assert marathon.get("/deployments") == []
    assert {task.cpus for task in marathon.sim.tasks("/web")} == {0.2}


def test_scaling_down_lasts_until_the_surplus_has_ended(marathon: Marathon) -> None:
    marathon.sim.profile("/web", Profile(stop_seconds=5))
    marathon.deployed("/web", instances=3, taskKillGracePeriodSeconds=10)
    marathon.put("/web", instances=1, taskKillGracePeriodSeconds=10)
    marathon.sim.advance(3)
    assert len(marathon.get("/deployments")) == 1
    marathon.sim.advance(3)

    assert marathon.get("/deployments") == []


def test_versions_of_one_moment_differ(marathon: Marathon) -> None:
    first, second = (marathon.put(id)["version"] for id in ("/a", "/b"))

    assert first < second


def test_another_configuration_begins_without_the_back_off_of_the_last(marathon: Marathon) -> None:
    marathon.sim.profile("/web", Profile(start_seconds=0.1, fails_after=0.1))
    marathon.put("/web")
    marathon.sim.advance(3600)
    (before,) = marathon.get("/queue")["queue"]
    marathon.sim.profile("/web", Profile())
    marathon.sim.inject(Fault(kind="no_offers", seconds=2))
    marathon.put("/web", cpus=0.2)
    marathon.sim.advance(1)
    (after,) = marathon.get("/queue")["queue"]
    assert after["since"] > before["since"]
    assert after["delay"]["overdue"] is True
    marathon.sim.advance(5)

    assert marathon.running("/web") == 1
