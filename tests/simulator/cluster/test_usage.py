"""What simulated tasks use, as their agents' endpoints tell it."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.simulator.cluster import Agent, Fault, SimulatedCluster, Use
from constructs_lib.simulator.web import ask
from tests.simulator.cluster.conftest import Marathon


def containers(sim: SimulatedCluster, path: str = "containers") -> dict[str, Any]:
    """Task → what its agent says of it."""
    found: dict[str, Any] = {}
    for agent in sim.world.agents.values():
        status, body = ask(f"{sim.urls('agents')[0]}/{agent.hostname}/{path}")
        assert status == 200
        found |= {one["executor_id"]: one for one in body}
    return found


def seconds(sim: SimulatedCluster) -> list[float]:
    """CPU seconds of each container so far."""
    said = [one["statistics"] for one in containers(sim).values()]
    return sorted(round(one["cpus_user_time_secs"] + one["cpus_system_time_secs"], 3) for one in said)


def test_agents_count_what_their_tasks_use(sim: SimulatedCluster) -> None:
    Marathon(sim).deployed("/web", cpus=0.5, mem=64)
    sim.use("/web", Use(cpu=0.5, memory=0.25))
    [(task, before)] = containers(sim).items()

    sim.advance(10)

    after = containers(sim)[task]
    assert task == sim.tasks("/web")[0].id
    assert after["framework_id"] == sim.marathon.framework_id
    said, told = after["statistics"], before["statistics"]
    assert said["timestamp"] - told["timestamp"] == 10
    assert said["cpus_user_time_secs"] - told["cpus_user_time_secs"] == pytest.approx(2.0)
    assert said["cpus_system_time_secs"] - told["cpus_system_time_secs"] == pytest.approx(0.5)
    assert (said["mem_rss_bytes"], said["mem_limit_bytes"]) == (16 * 2**20, 64 * 2**20)
    assert (said["cpus_limit"], said["cpus_soft_limit"]) == (0.5, 0.5)


def test_a_load_is_shared_by_all_that_run_and_more_of_them_have_less_each(sim: SimulatedCluster) -> None:
    sim.use("/web", Use(load=1.2))
    Marathon(sim).deployed("/web", cpus=1, instances=2)
    two = seconds(sim)
    sim.advance(10)
    assert [after - before for before, after in zip(two, seconds(sim), strict=True)] == pytest.approx([6, 6])

    Marathon(sim).deployed("/web", cpus=1, instances=3)
    three = seconds(sim)
    sim.advance(10)

    assert [b - a for a, b in zip(three, seconds(sim), strict=True)] == pytest.approx([4, 4, 4])


def test_nobody_uses_more_than_it_has_of_a_load(sim: SimulatedCluster) -> None:
    Marathon(sim).deployed("/web", cpus=0.5)
    sim.use("/web", Use(load=9))
    before = seconds(sim)

    sim.advance(10)

    assert seconds(sim)[0] - before[0] == pytest.approx(5)


def test_what_can_not_be_counted_is_listed_without_numbers_as_mesos_does(sim: SimulatedCluster) -> None:
    Marathon(sim).deployed("/web")
    sim.use("/web", Use(cpu=None))

    [container] = containers(sim).values()

    assert "statistics" not in container and container["status"]
    assert containers(sim, "monitor/statistics") == {}
    sim.use("/web", Use())
    assert len(containers(sim, "slave(1)/monitor/statistics")) == 1


@pytest.mark.parametrize("kind", ["agent_lost", "agent_partitioned"])
def test_an_agent_that_is_gone_answers_nobody(kind: Any) -> None:
    with SimulatedCluster([Agent(hostname="10.0.0.2")]) as sim:
        sim.inject(Fault(kind=kind, target="10.0.0.2"))
        with pytest.raises(OSError):
            ask(f"{sim.urls('agents')[0]}/10.0.0.2/containers")


def test_an_agent_that_there_is_not_is_404_with_those_that_there_are(sim: SimulatedCluster) -> None:
    status, body = ask(f"{sim.urls('agents')[0]}/10.9.9.9/containers")

    assert status == 404
    assert (
        "there are 10.20.64.10" in body["message"] and "begins with the agent's hostname" in body["message"]
    )
    assert ask(f"{sim.urls('agents')[0]}/10.20.64.10/flags")[0] == 404
    assert ask(f"{sim.urls('agents')[0]}/10.20.64.10/health")[0] == 200


def test_usage_is_said_and_read_over_http(sim: SimulatedCluster) -> None:
    url = f"{sim.urls('agents')[0]}/simulator/usage"

    assert ask(url, "PUT", {"/web/*": {"cpu": 0.9}, "/db/*": {"load": 3}})[0] == 200

    assert ask(url)[1] == {
        "/web/*": {"cpu": 0.9, "memory": 0.3, "load": None},
        "/db/*": {"cpu": 0.1, "memory": 0.3, "load": 3},
    }


@pytest.mark.parametrize(
    ("use", "says"),
    [
        ({"cpus": 1}, "got a field 'cpus', expected one of cpu, memory, load"),
        ({"cpu": "much"}, "cpu: got 'much', expected a number, 0 or more"),
        ({"load": -1}, "load: got -1, expected a number, 0 or more"),
        ({"memory": None}, "memory: got None, expected a number, 0 or more"),
        ({"memory": True}, "memory: got True, expected a number, 0 or more"),
    ],
)
def test_a_wrong_use_is_400_with_what_is_allowed(sim: SimulatedCluster, use: Any, says: str) -> None:
    status, body = ask(f"{sim.mesos_url}/simulator/usage", "PUT", {"/web": use})

    assert (status, body["message"]) == (400, f"usage: {says}")
    with pytest.raises(ValueError, match=r"cpu: got -1"):
        Use(cpu=-1)
