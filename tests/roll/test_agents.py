"""The order of a pool's roll, against a double of a group; test_embedded.py rolls an Auto Scaling group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from constructs_lib.access.machines import Agent
from constructs_lib.errors import RollError, ToolError
from constructs_lib.roll.agents import AgentRoll
from constructs_lib.roll.gate import Machine
from constructs_lib.roll.site import Site


def agent(number: int, version: str = "1", *, in_service: bool = True) -> Agent:
    return Agent(
        id=f"i-{number}",
        address=f"10.0.0.{number}",
        current=version == "2",
        in_service=in_service,
        version=version,
    )


@dataclass
class Group:
    """A double of a group: each that goes is followed by one of version `next_version`, if any."""

    name: str = "demo-eu-general"
    machines: list[Agent] = field(default_factory=lambda: [agent(1), agent(2), agent(3)])
    next_version: str | None = "2"
    gone: list[str] = field(default_factory=list)
    broken: str | None = None

    def wanted(self) -> int:
        return 3

    def newest(self) -> str:
        return "2"

    def agents(self) -> Sequence[Agent]:
        return tuple(self.machines)

    def replace(self, agent_: Agent) -> None:
        if agent_.id == self.broken:
            raise ToolError("AWS terminate: denied")
        self.gone.append(agent_.id)
        self.machines = [one for one in self.machines if one.id != agent_.id]
        if self.next_version:
            self.machines.append(agent(10 + len(self.gone), self.next_version))


@dataclass
class FakeSite:
    """A double of a site: it has nothing but names."""

    refreshed: list[Mapping[str, str]] = field(default_factory=list)

    def refresh(self, agents: Mapping[str, str]) -> None:
        self.refreshed.append(agents)

    def agent(self, one: Agent) -> Machine:
        return Machine(name=one.id, address=one.address, role="agent", cluster="demo", login=f"{one.id}.eu")


@dataclass
class Gate:
    """A double of a gate: these are never healthy."""

    sick: tuple[str, ...] = ()

    def look(self, machines: Sequence[Machine]) -> dict[str, str | None]:
        return {machine.name: "down" if machine.name in self.sick else None for machine in machines}


class Run:
    """One roll with all its doubles; only sleeping takes time."""

    def __init__(self, group: Group, gate: Gate | None = None, *, agree: bool = True, **options: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.now = 0.0
        self.site = FakeSite()

        def confirm(question: str) -> bool:
            self.asked.append(question)
            return agree

        self.roll = AgentRoll(
            site=cast(Site, self.site),
            group=group,
            gate=gate or Gate(),
            gate_timeout=60,
            say=self.said.append,
            confirm=confirm,
            clock=lambda: self.now,
            sleep=self.sleep,
            **options,
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_each_old_agent_goes_once_and_the_pool_is_new() -> None:
    group = Group()
    run = Run(group)
    assert run.roll.run() == ("i-1", "i-2", "i-3")
    assert {one.version for one in group.machines} == {"2"}
    assert run.asked == ["Replace 3 of 3 agents, one at a time?"]


def test_those_up_to_date_stay() -> None:
    group = Group(machines=[agent(1), agent(2, "2"), agent(3, "2")])
    assert Run(group).roll.run() == ("i-1",)


def test_nothing_to_do_asks_nothing() -> None:
    run = Run(Group(machines=[agent(1, "2")]))
    assert run.roll.run() == ()
    assert run.asked == []


def test_all_replaces_those_too_that_are_up_to_date() -> None:
    group = Group(machines=[agent(1, "2"), agent(2, "2"), agent(3, "2")])
    assert len(Run(group, everyone=True).roll.run()) == 3


def test_only_replaces_that_one() -> None:
    group = Group()
    assert Run(group, only="i-2").roll.run() == ("i-2",)


def test_only_of_no_agent_names_those_there_are() -> None:
    with pytest.raises(RollError, match="got 'i-9', expected one of i-1, i-2, i-3"):
        Run(Group(), only="i-9").roll.run()


def test_a_dry_run_changes_nothing() -> None:
    group = Group()
    run = Run(group, dry_run=True)
    assert run.roll.run() == ()
    assert (group.gone, run.asked) == ([], [])
    assert "i-1 10.0.0.1: version 1, newest is 2" in run.said


def test_a_no_changes_nothing() -> None:
    group = Group()
    with pytest.raises(RollError, match="not confirmed"):
        Run(group, agree=False).roll.run()
    assert group.gone == []


def test_another_that_is_sick_refuses_before_anything_goes() -> None:
    group = Group()
    with pytest.raises(RollError, match="i-1: refused, since others are not healthy:\n  i-3: down"):
        Run(group, Gate(sick=("i-3",))).roll.run()
    assert group.gone == []


def test_the_sick_one_itself_may_go() -> None:
    group = Group(machines=[agent(1), agent(2, "2"), agent(3, "2")])
    assert Run(group, Gate(sick=("i-1",))).roll.run() == ("i-1",)


def test_one_that_is_not_in_service_refuses() -> None:
    group = Group(machines=[agent(1), agent(2, in_service=False), agent(3)])
    with pytest.raises(RollError, match="1 of the pool's 3 agents are in service without it, expected 2"):
        Run(group).roll.run()


def test_a_successor_that_is_not_healthy_stops_the_roll_and_says_how_to_go_on() -> None:
    group = Group()
    with pytest.raises(RollError, match=r"i-11: down\nStopped at i-1; done before: none\. Run the same"):
        Run(group, Gate(sick=("i-11",))).roll.run()
    assert group.gone == ["i-1"]


def test_a_successor_that_never_comes_stops_the_roll_in_time() -> None:
    group = Group(next_version=None)
    run = Run(group)
    with pytest.raises(RollError, match=r"no successor is in service after 60 s \(2 of 3 in service\)"):
        run.roll.run()
    assert run.now == 60
    assert group.gone == ["i-1"]


def test_a_successor_of_an_old_version_stops_the_roll() -> None:
    group = Group(next_version="1")
    with pytest.raises(RollError, match="i-11 came of version 1, not of the newest, 2"):
        Run(group).roll.run()
    assert group.gone == ["i-1"]


def test_what_the_platform_refuses_stops_the_roll_with_what_was_done() -> None:
    with pytest.raises(RollError, match="denied\nStopped at i-2; done before: i-1"):
        Run(Group(broken="i-2")).roll.run()


def test_an_interrupted_roll_goes_on_with_those_left() -> None:
    group = Group(broken="i-2")
    with pytest.raises(RollError):
        Run(group).roll.run()
    group.broken = None
    assert Run(group).roll.run() == ("i-2", "i-3")


def test_agents_can_be_logged_in_to_before_they_are_asked() -> None:
    run = Run(Group(machines=[agent(1), agent(2, "2"), agent(3, "2")]))
    run.roll.run()
    assert run.site.refreshed[-1] == {"i-2": "10.0.0.2", "i-3": "10.0.0.3", "i-11": "10.0.0.11"}
