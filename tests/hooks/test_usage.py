"""The share that instances use, from what agents counted at two times."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from constructs_lib.hooks.agents import Counted, Sample
from constructs_lib.hooks.usage import OLDEST_SECONDS, SPAN_SECONDS, History, Usage, serving

MIB = 1 << 20
HEALTHY = {"state": "TASK_RUNNING", "slaveId": "S1", "host": "h", "healthCheckResults": [{"alive": True}]}


def app_of(*tasks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An app of half a CPU and 64 MiB."""
    labels = {"clustermesos/cluster": "demo", "clustermesos/contract": "shop"}
    return {
        "id": "/shop/v1",
        "cpus": 0.5,
        "mem": 64,
        "labels": labels,
        "healthChecks": [{}],
        "tasks": [{**HEALTHY, **task} for task in tasks],
        **fields,
    }


@dataclass
class World:
    """Marathon's apps and the agents' answers, one for each look, the last one again and again."""

    app: dict[str, Any]
    answers: list[Counted]
    time: float = 1000.0
    asked: list[set[str]] = field(default_factory=list)
    history: History = field(default_factory=History)

    def apps(self) -> tuple[dict[str, Any], ...]:
        return (self.app, app_of({"id": "other", "slaveId": "S9"}, labels={}))

    def count(self, ids: Collection[str]) -> Counted:
        self.asked.append(set(ids))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def measured(self, signal: str = "cpu") -> tuple[list[float], tuple[str, ...]]:
        marathon: Any = self
        usage = Usage(
            marathon=marathon,
            agents=self,
            owners=[("demo", "shop")],
            now=lambda: self.time,
            sleep=self.sleep,
            history=self.history,
        )
        found = usage.of(self.app, signal)
        return [round(one, 3) for one in found.utilization], found.missing


def counted(at: float, **cpu_seconds: float) -> Counted:
    samples = {
        task: Sample(at=at, cpu_seconds=one, memory_bytes=16 * MIB) for task, one in cpu_seconds.items()
    }
    return Counted(samples=samples, silent={})


def test_an_instance_that_began_to_serve_between_the_looks_is_not_measured_yet() -> None:
    class Starting(World):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            self.app = app_of({"id": "a"}, {"id": "b"})

    starts = {"id": "b", "healthCheckResults": [{"alive": False}]}
    world = Starting(app_of({"id": "a"}, starts), [counted(5, a=1, b=9), counted(25, a=6, b=29)])

    assert world.measured() == ([0.5], ())


def test_processor_time_is_a_share_of_what_the_contract_asks_for_over_the_agents_own_time() -> None:
    world = World(app_of({"id": "a"}, {"id": "b"}), [counted(5, a=1, b=9), counted(25, a=6, b=9.5)])

    assert world.measured() == ([0.5, 0.05], ())
    assert world.time == 1000 + SPAN_SECONDS
    assert world.asked == [{"S1"}, {"S1"}], "agents without an instance of ours are left alone"


def test_memory_is_a_share_of_what_the_contract_asks_for_and_needs_one_look() -> None:
    world = World(app_of({"id": "a"}), [counted(5, a=1)])

    assert world.measured("memory") == ([0.25], ())
    assert world.time == 1000


def test_the_look_of_the_round_before_saves_the_wait_and_a_fresh_one_saves_the_look() -> None:
    world = World(app_of({"id": "a"}), [counted(0, a=0), counted(10, a=1), counted(70, a=16)])
    world.measured()
    world.measured()
    assert len(world.asked) == 2

    world.sleep(60)

    assert world.measured() == ([0.5], ())
    assert len(world.asked) == 3


def test_a_look_of_long_ago_says_nothing_of_now() -> None:
    world = World(
        app_of({"id": "a"}), [counted(0, a=0), counted(10, a=1), counted(900, a=1), counted(910, a=3)]
    )
    world.measured()

    world.sleep(OLDEST_SECONDS + 1)

    assert world.measured() == ([0.4], ())


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (counted(10), "agent h has no numbers of a container"),
        (Counted(silent={"S1": "agent h: connection refused"}), "agent h: connection refused"),
        (counted(10, a=0.5), "the counters of a container on h did not go on from one look to the next"),
        (counted(0, a=2), "the counters of a container on h did not go on from one look to the next"),
    ],
)
def test_an_instance_without_two_counts_that_go_on_is_missing_with_why(second: Counted, why: str) -> None:
    world = World(app_of({"id": "a"}), [counted(0, a=1), second])

    assert world.measured() == ([], (why,))


def test_an_instance_that_did_not_serve_at_both_times_is_neither_measured_nor_missing() -> None:
    young = {"id": "young", "healthCheckResults": []}
    world = World(app_of({"id": "a"}, young), [counted(0, a=0, young=0), counted(10, a=1, young=5)])

    assert world.measured() == ([0.2], ())


@pytest.mark.parametrize(
    ("task", "serves"),
    [
        ({}, True),
        ({"healthCheckResults": [{"alive": False}]}, False),
        ({"healthCheckResults": []}, False),
        ({"state": "TASK_STAGING"}, False),
        ({"state": "TASK_KILLING"}, False),
    ],
)
def test_what_serves_runs_and_is_healthy(task: dict[str, Any], serves: bool) -> None:
    assert [one["id"] for one in serving(app_of({"id": "a", **task}))] == (["a"] if serves else [])


def test_what_nobody_checks_serves_when_it_runs() -> None:
    assert serving(app_of({"id": "a", "healthCheckResults": []}, healthChecks=[]))
