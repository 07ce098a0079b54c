"""What agents count of their containers, and what is said of those that do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.simulator.cluster import Agent, Fault, Use
from tests.hooks.rolling_platform import Platform


def on_two_agents(platform: Platform) -> CompiledContract:
    """Two instances of 0.1 CPUs and 32 MiB, one on each agent."""
    platform.cluster.world.add(Agent(hostname="10.0.0.3", region="eu"))
    contract = platform.contract("v1")
    body = {**contract.app.body, "constraints": [["@hostname", "UNIQUE"], ["@region", "IS", "eu"]]}
    contract = replace(contract, app=replace(contract.app, body=body))
    assert platform.deploy(contract).good
    return contract


def ids(platform: Platform) -> dict[str, str]:
    return {agent.hostname: agent.id for agent in platform.cluster.world.agents.values()}


def tasks(platform: Platform) -> dict[str, str]:
    """Hostname → its task."""
    return {task.agent.hostname: task.id for task in platform.cluster.tasks()}


def test_processor_time_and_memory_are_told_by_task(platform: Platform) -> None:
    on_two_agents(platform)
    platform.cluster.use("*", Use(cpu=0.5, memory=0.25))
    agents = platform.agents()

    first = agents.count(ids(platform).values())
    platform.cluster.advance(100)
    second = agents.count(ids(platform).values())

    assert sorted(second.samples) == sorted(tasks(platform).values()) and not second.silent
    for task, sample in second.samples.items():
        assert sample.at - first.samples[task].at == 100
        assert sample.cpu_seconds - first.samples[task].cpu_seconds == pytest.approx(5.0)
        assert sample.memory_bytes == 8 * 2**20


def test_nobody_is_asked_for_nothing(platform: Platform) -> None:
    before = platform.agents()
    platform.cluster.inject(Fault(kind="status", status=500, program="*", seconds=1000))

    assert before.count(()).samples == {}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"status": 503}, "agent 10.0.0.3: 503 Service Unavailable (a fault of the simulator)"),
        ({"kind": "html"}, "agent 10.0.0.3: 200 with a web page '502 Bad Gateway' where JSON is expected"),
        ({"kind": "no_answer"}, "agent 10.0.0.3: it closed the connection without an answer"),
        ({"status": 200, "body": {}}, "agent 10.0.0.3: got dict where a list of containers is expected"),
    ],
)
def test_an_agent_without_a_good_answer_is_named_with_why_and_the_others_count(
    body: dict[str, Any], reason: str, platform: Platform
) -> None:
    on_two_agents(platform)
    fault = {"kind": "status", "program": "agents", "path": "/10.0.0.3/*", "seconds": 1000.0, **body}
    platform.cluster.inject(Fault(**fault))

    counted = platform.agents().count(ids(platform).values())

    assert counted.silent == {ids(platform)["10.0.0.3"]: reason}
    assert list(counted.samples) == [tasks(platform)["10.0.0.2"]]


def test_an_agent_that_the_master_does_not_know_is_silent(platform: Platform) -> None:
    on_two_agents(platform)
    known = ids(platform)
    platform.cluster.inject(Fault(kind="agent_partitioned", target="10.0.0.3"))

    counted = platform.agents().count(known.values())

    gone = known["10.0.0.3"]
    assert counted.silent == {gone: f"agent {gone} is not registered at Mesos"}
    assert list(counted.samples) == [tasks(platform)["10.0.0.2"]]


GOOD = {
    "timestamp": 10.5,
    "cpus_user_time_secs": 1,
    "cpus_system_time_secs": 0.5,
    "mem_rss_bytes": 1024,
}


@pytest.mark.parametrize(
    "statistics",
    [None, {}, "none", *({**GOOD, name: None} for name in GOOD), {**GOOD, "mem_rss_bytes": True}],
)
def test_a_container_whose_numbers_are_missing_or_none_has_no_sample(
    statistics: object, platform: Platform
) -> None:
    listed = [
        "no entry",
        {"executor_id": "half", "statistics": statistics},
        {"executor_id": "whole", "statistics": GOOD},
        {"executor_id": "none"},
    ]
    platform.cluster.inject(Fault(kind="status", status=200, program="agents", body=listed))

    counted = platform.agents().count(ids(platform).values())

    assert list(counted.samples) == ["whole"] and not counted.silent
    assert counted.samples["whole"].cpu_seconds == 1.5


def test_the_way_to_an_agent_of_another_site_is_through_that_sites_gateway(platform: Platform) -> None:
    # Agents of a region that is no site of the plan are looked for at home.
    platform.cluster.world.add(Agent(hostname="10.0.0.9", region="elsewhere"))

    counted = platform.agents().count(ids(platform).values())

    assert not counted.silent
