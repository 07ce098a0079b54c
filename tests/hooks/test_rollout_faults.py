"""Faults in the middle of a deployment: it ends in the new version, or in an error the next run mends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.contracts.compiled import Instances, Scaling
from constructs_lib.errors import HookError
from constructs_lib.simulator.cluster.agents import Agent
from constructs_lib.simulator.cluster.cluster import SimulatedCluster
from constructs_lib.simulator.cluster.faults import Fault, Kind
from tests.hooks.consul_server import ConsulServer
from tests.hooks.rolling_platform import Platform

CHANGES = {"create": "/v2/apps/*", "scale": "/v2/apps/*", "kill": "/v2/tasks/delete", "look": "/v2/apps/*"}
METHODS = {"create": "PUT", "scale": "PUT", "kill": "POST", "look": "GET"}


FINAL = {
    **dict.fromkeys(("create", "scale", "kill"), (401, 403, 404, 422)),
    "look": (401, 403),
}
"""What asking again does not change: the run ends with it, and the next one goes on."""


def answers() -> dict[str, Fault]:
    """Every fault of an answer, at every kind of request that a deployment sends."""
    found: dict[str, Fault] = {}
    for what, path in CHANGES.items():
        fits: Any = {"program": "marathon", "method": METHODS[what], "path": path}
        lost: tuple[Kind, ...] = ("half_answer", "no_answer", "lost_answer")
        for kind in lost:
            found[f"{what}-{kind}"] = Fault(kind=kind, **fits)
        found[f"{what}-html"] = Fault(kind="html", **fits)
        passing = {"scale": (409, 429, 500, 502, 503, 504), "look": (404, 500, 503)}.get(what, (500, 503))
        for status in (*passing, *FINAL[what]):
            found[f"{what}-{status}"] = Fault(kind="status", status=status, **fits)
        found[f"{what}-slow"] = Fault(kind="slow", delay=0.1, **fits)
        found[f"{what}-leader_change"] = Fault(kind="leader_change", seconds=5.0, **fits)
    return found


WORLD = {
    "refused": Fault(kind="refused", program="marathon", instance=0, seconds=5.0),
    "task_failure": Fault(kind="task_failure", target="*", status=1),
    "agent_lost": Fault(kind="agent_lost", target="10.0.0.3"),
    "agent_partitioned": Fault(kind="agent_partitioned", target="10.0.0.3", seconds=20.0),
    "agent_maintenance": Fault(kind="agent_maintenance", target="10.0.0.3", seconds=20.0),
    "no_offers": Fault(kind="no_offers", seconds=20.0),
    "framework_inactive": Fault(kind="framework_inactive", program="marathon", seconds=20.0),
    "deployment_stuck": Fault(kind="deployment_stuck", target="*"),
    "deadline": Fault(kind="no_offers"),
}


@pytest.fixture
def platform(consul_at: ConsulServer) -> Iterator[Platform]:
    agents = [Agent(hostname=f"10.0.0.{number}", region="eu") for number in (2, 3)]
    with SimulatedCluster(agents, masters=3) as cluster:
        yield Platform(cluster, consul_at)


def deployed(platform: Platform, fault: Fault, after: int) -> list[str]:
    """The second version, with the fault injected after so many lines; what was said before it succeeded."""
    assert platform.deploy(platform.contract("v1")).good
    second, said = platform.contract("v2"), []
    injected = after == 0
    if injected:
        platform.cluster.inject(fault)

    def say(text: str) -> None:
        nonlocal injected
        said.append(text)
        if len(said) == after and not injected:
            injected = True
            platform.cluster.inject(fault)

    for _ in range(3):
        try:
            end = platform.rollout(forgive=True).deploy(second, platform.deadline(300.0), say)
        except HookError as error:
            said.append(str(error))
        else:
            said.append(end.why)
            if end.good:
                break
            assert sum(platform.running().values()) >= 2, "as many as served before"
        platform.cluster.heal()
    assert platform.running() == {"v2": 2}, said
    return said


@pytest.mark.slow
@pytest.mark.parametrize("name", answers())
def test_a_fault_of_an_answer_ends_in_the_new_version(name: str, platform: Platform) -> None:
    said = deployed(platform, answers()[name], after=0 if name.startswith("create") else 1)

    assert said[-1] == "version v2 runs"
    what, _, kind = name.partition("-")
    if kind.isdigit() and int(kind) in FINAL[what]:
        errors = [line for line in said if line.startswith("marathon: ")]
        assert all(f": {kind} " in line and "\n" not in line for line in errors) and errors, said
    assert not platform.cluster.faults.listed(), "it has hit a request"
    assert not any("Traceback" in line for line in said)


@pytest.mark.slow
def test_a_look_that_is_told_404_does_not_begin_anew(platform: Platform) -> None:
    fixed = replace(platform.contract("v1"), instances=Instances(min=3, max=3))
    assert platform.deploy(fixed).good
    scaling = Scaling(signal="cpu", target=0.7)
    contract = replace(fixed, instances=Instances(min=2, max=6, scaling=scaling))
    platform.cluster.inject(answers()["look-404"])

    assert platform.deploy(contract).good

    assert not platform.cluster.faults.listed(), "it has hit a request"
    assert platform.running() == {"v1": 3}
    assert platform.rollout().documents.of(platform.name).count == 3


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 4])
@pytest.mark.parametrize("name", WORLD)
def test_a_fault_of_the_cluster_ends_in_the_new_version_at_last(
    name: str, after: int, platform: Platform
) -> None:
    assert deployed(platform, WORLD[name], after)[-1] == "version v2 runs"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["crash_loop", "never_healthy"])
def test_a_version_that_does_not_work_turns_round_and_is_deployed_once_it_does(
    kind: Kind, platform: Platform
) -> None:
    fault = Fault(kind=kind, target=f"/{platform.name}/v2")
    platform.cluster.inject(fault)

    said = deployed(platform, fault, after=-1)

    assert any("turned round" in line and "version v1 runs again" in line for line in said)
