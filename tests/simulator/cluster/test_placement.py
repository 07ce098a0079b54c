"""Where tasks go, and every reason why they don't: Marathon's ten, and the one that it does not tell."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from constructs_lib.simulator.cluster import Agent, Fault, Profile, SimulatedCluster
from tests.simulator.cluster.conftest import Marathon

HOUR = 3600
BUSY: dict[str, Any] = {
    "container": {"type": "DOCKER", "docker": {"image": "a"}, "portMappings": [{"hostPort": 31000}]},
    "cmd": None,
}
REASONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "UnfulfilledRole": ({"role": "database"}, {}),
    "UnfulfilledConstraint": ({}, {"constraints": [["pool", "LIKE", "batch"]]}),
    "AgentMaintenance": ({"maintenance": True}, {}),
    "InsufficientCpus": ({"cpus": 1}, {"cpus": 2}),
    "InsufficientMemory": ({"mem": 512}, {"mem": 1024}),
    "InsufficientDisk": ({"disk": 10}, {"disk": 11}),
    "InsufficientGpus": ({}, {"gpus": 1}),
    "InsufficientPorts": ({"ports": [(40000, 40010)]}, BUSY),
    "DeclinedScarceResources": ({"gpus": 1}, {}),
}


def agent(name: str = "10.0.0.1", **fields: Any) -> Agent:
    return Agent(hostname=name, **{"attributes": {"pool": "general"}, **fields})


def declined(waiting: Any, summary: str) -> dict[str, int]:
    steps = waiting["processedOffersSummary"][summary]
    return {one["reason"]: one["declined"] for one in steps if one["declined"]}


@pytest.mark.parametrize("reason", REASONS)
def test_an_offer_is_refused_with_its_reason(reason: str) -> None:
    fields, app = REASONS[reason]
    with SimulatedCluster([agent(**fields)]) as sim:
        marathon = Marathon(sim)
        marathon.put("/web", **app)
        sim.advance(5)

        assert reason in marathon.reasons("/web")["10.0.0.1"]
        (waiting,) = marathon.get("/queue")["queue"]
        assert waiting["delay"] == {"timeLeftSeconds": 0, "overdue": True}
        assert (waiting["count"], sim.tasks()) == (1, [])


def test_a_volume_that_waits_for_its_instance_refuses_other_agents() -> None:
    volumes = {"volumes": [{"containerPath": "data", "mode": "RW", "persistent": {"size": 10}}]}
    with SimulatedCluster([agent("10.0.0.1"), agent("10.0.0.2")]) as sim:
        marathon = Marathon(sim)
        marathon.deployed("/db", container={"type": "MESOS", **volumes})
        (task,) = sim.tasks("/db")
        sim.inject(Fault(kind="agent_lost", target=task.agent.hostname))
        sim.advance(10)

        other = "10.0.0.2" if task.agent.hostname == "10.0.0.1" else "10.0.0.1"
        assert marathon.reasons("/db")[other] == ["NoCorrespondingReservationFound"]


def test_maintenance_hides_behind_the_constraint_in_the_summary() -> None:
    with SimulatedCluster([agent(maintenance=True)]) as sim:
        marathon = Marathon(sim)
        marathon.put("/web")
        sim.advance(5)
        (waiting,) = marathon.get("/queue")["queue"]

    assert declined(waiting, "rejectSummaryLastOffers") == {"UnfulfilledConstraint": 1}


def test_a_port_is_free_again_once_its_task_has_ended() -> None:
    with SimulatedCluster([agent()]) as sim:
        marathon = Marathon(sim)
        marathon.deployed("/web", **BUSY)
        (first,) = sim.tasks("/web")
        marathon.ask("POST", "/tasks/delete", {"ids": [first.id]})
        sim.advance(10)
        (second,) = sim.tasks("/web")

    assert (first.id != second.id, second.ports) == (True, (31000,))


def test_the_funnel_shows_each_reason_what_those_before_let_through() -> None:
    with SimulatedCluster([agent("10.0.0.1", cpus=1), agent("10.0.0.2", attributes={})]) as sim:
        marathon = Marathon(sim)
        marathon.put("/web", cpus=2, constraints=[["pool", "IS", "general"]])
        sim.advance(10.5)
        (waiting,) = marathon.get("/queue")["queue"]

    summary = waiting["processedOffersSummary"]
    steps = {one["reason"]: one for one in summary["rejectSummaryLaunchAttempt"]}
    assert summary["processedOffersCount"] == summary["unusedOffersCount"] == 20
    assert steps["UnfulfilledRole"]["processed"] == 20
    assert steps["UnfulfilledConstraint"]["declined"] == 10
    assert (steps["InsufficientCpus"]["processed"], steps["InsufficientCpus"]["declined"]) == (10, 10)
    assert steps["InsufficientPorts"]["processed"] == 0


def test_all_reasons_of_an_offer_are_told_the_summary_counts_the_first() -> None:
    with SimulatedCluster([agent(cpus=1, mem=64)]) as sim:
        marathon = Marathon(sim)
        marathon.put("/web", cpus=4, mem=512, constraints=[["pool", "CLUSTER", "batch"]])
        sim.advance(3)
        (waiting,) = marathon.get("/queue")["queue"]

        assert marathon.reasons("/web")["10.0.0.1"] == [
            "UnfulfilledConstraint",
            "InsufficientCpus",
            "InsufficientMemory",
        ]
    assert declined(waiting, "rejectSummaryLaunchAttempt") == {"UnfulfilledConstraint": 2}


@pytest.mark.parametrize("constraints", [[], [["pool", "LIKE", "general"]]])
def test_an_agent_of_another_region_is_refused_without_a_word(constraints: list[list[str]]) -> None:
    with SimulatedCluster([agent(region="far")], region="eu") as sim:
        marathon = Marathon(sim)
        marathon.put("/web", constraints=constraints)
        sim.advance(5)
        (waiting,) = marathon.get("/queue")["queue"]

        assert marathon.reasons("/web") == {"10.0.0.1": []}
    assert waiting["processedOffersSummary"]["unusedOffersCount"] > 0
    assert declined(waiting, "rejectSummaryLaunchAttempt") == {}


@pytest.mark.parametrize(
    "constraint", [["@region", "LIKE", "eu|far"], ["@region", "IS", "far"], ["@zone", "GROUP_BY"]]
)
def test_naming_a_region_or_zone_lets_other_regions_in(constraint: list[str]) -> None:
    with SimulatedCluster([agent(region="far", zone="z")], region="eu") as sim:
        marathon = Marathon(sim)
        marathon.deployed("/web", constraints=[constraint])

        assert marathon.running("/web") == 1


SPREAD = {
    "UNIQUE": ([["hostname", "UNIQUE"]], 4, [1, 1, 1, 1]),
    "UNIQUE, one too many": ([["hostname", "UNIQUE"]], 5, [1, 1, 1, 1]),
    "GROUP_BY": ([["@zone", "GROUP_BY", "2"], ["hostname", "MAX_PER", "2"]], 6, [1, 1, 2, 2]),
    "MAX_PER": ([["hostname", "MAX_PER", "2"]], 8, [2, 2, 2, 2]),
    "CLUSTER": ([["rack", "CLUSTER", "r2"]], 3, [3]),
    "LIKE": ([["rack", "LIKE", "r[13]"]], 3, [3]),
    "UNLIKE": ([["rack", "UNLIKE", "r1"], ["hostname", "MAX_PER", "1"]], 9, [1, 1, 1]),
    "IS": ([["rack", "IS", "r3"]], 2, [2]),
}


@pytest.mark.parametrize("case", SPREAD)
def test_constraints_spread_tasks(case: str) -> None:
    constraints, instances, wanted = SPREAD[case]
    agents = [
        agent(f"10.0.0.{number}", attributes={"rack": f"r{number}"} if number < 4 else {}, zone=zone)
        for number, zone in ((1, "a"), (2, "a"), (3, "b"), (4, "b"))
    ]
    with SimulatedCluster(agents) as sim:
        marathon = Marathon(sim)
        marathon.put("/web", instances=instances, constraints=constraints)
        sim.advance(20)
        found = Counter(task.agent.hostname for task in sim.tasks("/web"))

    assert sorted(found.values()) == wanted


def test_an_upgrade_does_not_count_older_instances_against_unique(marathon: Marathon) -> None:
    unique = [["hostname", "UNIQUE"]]
    marathon.deployed("/web", instances=3, constraints=unique)
    marathon.deployed("/web", instances=3, constraints=unique, cpus=0.2)

    assert len({task.agent.hostname for task in marathon.sim.tasks("/web")}) == 3


def test_a_fixed_host_port_never_gets_through_an_upgrade_where_all_agents_have_it() -> None:
    with SimulatedCluster([agent()]) as sim:
        marathon = Marathon(sim)
        marathon.deployed("/web", **BUSY)
        marathon.put("/web", **BUSY, cpus=0.2)
        sim.advance(3600)

        assert marathon.reasons("/web") == {"10.0.0.1": ["InsufficientPorts"]}
        assert len(marathon.get("/deployments")) == 1


def test_resources_that_run_out_come_back_when_a_task_ends(marathon: Marathon) -> None:
    marathon.put("/big", cpus=3, instances=4)
    marathon.sim.advance(10)
    assert marathon.running("/big") == 3
    marathon.ask("PUT", "/apps/big?force=true", {"instances": 2})
    marathon.sim.advance(10)
    marathon.deployed("/small", cpus=3)

    assert (marathon.running("/big"), marathon.running("/small")) == (2, 1)


def test_ports_are_the_task_s_own(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=3, portDefinitions=[{"port": 0}, {"port": 0}])
    ports = [port for task in marathon.app("/web")["tasks"] for port in task["ports"]]

    assert len(ports) == len(set(ports)) == 6
    assert all(31000 <= port <= 32000 for port in ports)


def test_a_crashing_task_is_started_again_with_growing_pauses(marathon: Marathon) -> None:
    marathon.sim.profile("/web", Profile(start_seconds=0.1, fails_after=0.1))
    marathon.put("/web")
    starts: list[float] = []
    marathon.sim.world.watchers.append(
        lambda task: starts.append(marathon.sim.now()) if task.state == "TASK_RUNNING" else None
    )
    marathon.sim.advance(3 * HOUR)
    pauses = [later - earlier for earlier, later in pairwise(starts)]

    assert pauses[0] < 4
    assert 300 <= max(pauses) < 303
    assert all(later >= earlier - 1.5 for earlier, later in pairwise(pauses))
    failed = marathon.app("/web")["lastTaskFailure"]
    assert (failed["state"], failed["message"]) == ("TASK_FAILED", "Container exited with status 1")


def test_the_back_off_is_told_and_can_be_forgotten(marathon: Marathon) -> None:
    marathon.sim.profile("/web", Profile(start_seconds=0.1, fails_after=0.1))
    marathon.put("/web")
    marathon.sim.advance(HOUR)
    (waiting,) = marathon.get("/queue")["queue"]
    assert waiting["delay"]["timeLeftSeconds"] > 30
    assert waiting["delay"]["overdue"] is False
    marathon.sim.profile("/web", Profile())
    assert marathon.ask("DELETE", "/queue/web/delay")[0] == 204
    marathon.sim.advance(5)

    assert marathon.running("/web") == 1
