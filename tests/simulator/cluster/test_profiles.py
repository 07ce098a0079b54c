"""How tasks live, by the pattern that fits."""

from __future__ import annotations

import pytest

from constructs_lib.simulator.cluster import Profile, SimulatedCluster
from constructs_lib.simulator.cluster.profiles import read_profile
from tests.simulator.cluster.conftest import Marathon

CHECK = [{"protocol": "MESOS_HTTP", "maxConsecutiveFailures": 2, "intervalSeconds": 10}]


def test_the_pattern_that_was_set_last_wins(marathon: Marathon) -> None:
    marathon.sim.profile("/shop/web", Profile(start_seconds=50))
    marathon.sim.profile("/shop/*", Profile(start_seconds=10))
    marathon.put("/shop/web")
    marathon.sim.advance(9)
    assert marathon.running("/shop/web") == 0
    marathon.sim.advance(3)

    assert marathon.running("/shop/web") == 1


def test_a_share_of_tasks_fails_at_its_start_the_same_ones_each_time() -> None:
    def failures(seed: int) -> list[bool]:
        with SimulatedCluster(seed=seed) as sim:
            sim.profile("*", Profile(fail_rate=0.5))
            sim.marathon.change({"/web": {"cmd": "a", "instances": 20, "cpus": 0.1}})
            sim.advance(2.3)
            return [task.state == "TASK_FAILED" for task in [*sim.world.ended, *sim.tasks()]]

    assert failures(1) == failures(1)
    assert 3 < sum(failures(1)) < 17


def test_a_task_that_gets_unhealthy_is_killed_and_replaced(marathon: Marathon) -> None:
    marathon.sim.profile("/web", Profile(unhealthy_after=60))
    marathon.deployed("/web", healthChecks=CHECK)
    first = marathon.sim.tasks("/web")[0].id
    marathon.sim.advance(35)
    app = marathon.app("/web")
    assert (app["tasksHealthy"], app["tasksUnhealthy"]) == (0, 1)
    marathon.sim.advance(20)

    assert marathon.app("/web")["lastTaskFailure"]["taskId"] == first
    assert [task.id for task in marathon.sim.tasks("/web")] != [first]


@pytest.mark.parametrize(("protocol", "killed"), [("HTTP", False), ("MESOS_HTTP", True)])
def test_no_failures_allowed_is_never_for_marathon_and_at_once_for_agents(
    marathon: Marathon, protocol: str, killed: bool
) -> None:
    check = [{"protocol": protocol, "maxConsecutiveFailures": 0, "intervalSeconds": 10}]
    marathon.deployed("/web", seconds=5, healthChecks=check)
    first = marathon.sim.tasks("/web")[0]
    marathon.sim.marathon.apps["/web"].spec["healthChecks"][0]["gracePeriodSeconds"] = 0
    marathon.sim.profile("/web", Profile(unhealthy_after=20))
    marathon.deployed("/web", seconds=100, healthChecks=check, cpus=0.2)

    assert first.state == "TASK_KILLED"
    assert ("lastTaskFailure" in marathon.app("/web")) == killed


@pytest.mark.parametrize(("stop", "grace", "ends_after"), [(2, 10, 2), (20, 5, 5)])
def test_a_task_ends_when_it_likes_or_when_its_grace_is_over(
    marathon: Marathon, stop: float, grace: float, ends_after: float
) -> None:
    marathon.sim.profile("/web", Profile(stop_seconds=stop))
    marathon.deployed("/web", taskKillGracePeriodSeconds=grace)
    (task,) = marathon.sim.tasks("/web")
    marathon.ask("POST", "/tasks/delete?scale=true", {"ids": [task.id]})
    marathon.sim.advance(0.2 + ends_after - 0.5)
    assert task.state == "TASK_KILLING"
    marathon.sim.advance(1)

    assert task.state == "TASK_KILLED"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"speed": 1}, "'speed', expected one of"),
        ({"exit_code": "1"}, "expected a number"),
        ({"fail_rate": 2}, "0 to 1"),
    ],
)
def test_a_wrong_life_is_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_profile(given)
