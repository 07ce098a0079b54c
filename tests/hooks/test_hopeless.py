"""What no agent can ever take is told from what has no room just now; against the simulator too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.hooks.documents import Kept
from constructs_lib.hooks.failing import HOPELESS_SECONDS
from constructs_lib.hooks.hopeless import Placements, hopeless
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.mesos import Mesos
from constructs_lib.simulator.cluster import Agent, Fault
from tests.hooks.rolling_platform import Platform
from tests.hooks.test_explain import agent

APP: dict[str, Any] = {"cpus": 1, "mem": 64, "constraints": [["@region", "LIKE", "eu"]]}
FULL = {"used_resources": {"cpus": 2.0, "mem": 4096.0, "disk": 90000.0, "ports": "[31000-32000]"}}


@pytest.mark.parametrize(
    ("app", "agents"),
    [
        ({}, [agent(1)]),
        ({}, [agent(1, **FULL)]),
        ({"cpus": 2}, [agent(1, pool="other"), agent(2, **FULL)]),
        ({"constraints": [["@region", "LIKE", "eu"], ["hostname", "UNIQUE"]]}, [agent(1)]),
        ({"constraints": [["@region", "LIKE", "eu"], ["@zone", "GROUP_BY", "3"]]}, [agent(1)]),
        ({}, [agent(1, active=False)]),
        ({"cpus": 64}, []),
    ],
    ids=["free", "full", "one is enough", "unique", "group by", "away", "no agent is known"],
)
def test_what_may_come_to_be_placed_is_not_hopeless(app: dict[str, Any], agents: list[Any]) -> None:
    assert hopeless({**APP, **app}, agents, "eu") is None


@pytest.mark.parametrize(
    ("app", "agents", "why"),
    [
        ({"cpus": 3}, [agent(1), agent(2)], "cpus: 3 asked, 2 offered, 1 missing (2 of 2)"),
        (
            {"constraints": [["pool", "IS", "data"]]},
            [agent(1), agent(2, pool="batch"), agent(3)],
            "constraint pool IS data: it is 'general' (2 of 3), "
            "constraint pool IS data: it is 'batch' (1 of 3)",
        ),
        (
            {"mem": 8000},
            [agent(1, pool="data"), agent(2, region="dc1")],
            "memory: 8000 MiB asked, 4096 offered, 3904 missing (1 of 2), constraint @region LIKE eu: "
            "it is 'dc1'; memory: 8000 MiB asked, 4096 offered, 3904 missing (1 of 2)",
        ),
        (
            {"portDefinitions": [{"port": 80}]},
            [agent(1)],
            "host port 80 is not among those offered (31000-32000) (1 of 1)",
        ),
    ],
    ids=["too large", "no such pool", "each for another reason", "a port that none offers"],
)
def test_what_no_agent_can_take_is_told_with_every_reason(
    app: dict[str, Any], agents: list[Any], why: str
) -> None:
    found = hopeless({**APP, **app}, agents, "eu")

    assert found == f"no agent can take an instance, even an empty one: {why}"


def placements(platform: Platform) -> Placements:
    target = Target(name="mesos", bases=platform.cluster.urls("mesos"))
    return Placements(mesos=Mesos(Client(target, platform.deadline(), patient=False)), home="eu")


def larger(platform: Platform, version: str, cpus: float, strategy: str = "rolling") -> CompiledContract:
    contract = platform.contract(version, strategy)
    app = replace(contract.app, body={**contract.app.body, "cpus": cpus})
    return replace(contract, app=app, deployment=replace(contract.deployment, progress_deadline=600.0))


TOO_LARGE = "no agent can take an instance, even an empty one: cpus: 100 asked"


@pytest.mark.parametrize("strategy", ["rolling", "blue-green", "recreate"])
def test_a_version_that_is_too_large_for_every_agent_is_not_begun_and_changes_nothing(
    strategy: str, platform: Platform
) -> None:
    assert platform.deploy(platform.contract("v1")).good
    documents, before = platform.rollout().documents, platform.cluster.now()
    kept = documents.of(platform.name)
    second = larger(platform, "v2", 100, strategy)

    end = platform.deploy(second, placing=placements(platform))

    assert not end.good
    assert end.why.startswith(f"not begun, and nothing was changed: {TOO_LARGE}")
    assert HOPELESS_SECONDS <= platform.cluster.now() - before < 2 * HOPELESS_SECONDS
    assert platform.running() == {"v1": 2}
    assert documents.of(platform.name) == kept
    assert f"{platform.name}: waits for an agent: {TOO_LARGE}" in "".join(platform.told)


def test_a_first_version_that_no_agent_takes_leaves_nothing_behind_and_is_tried_again(
    platform: Platform,
) -> None:
    first, rollout = larger(platform, "v1", 6), platform.rollout(placing=placements(platform))

    assert not rollout.deploy(first, platform.deadline(), platform.told.append).good
    assert platform.running() == {} and rollout.documents.of(platform.name) == Kept()

    platform.cluster.world.add(Agent(hostname="10.0.0.9", region="eu", cpus=16))
    assert rollout.deploy(first, platform.deadline(), platform.told.append).good


def test_a_run_waits_for_an_agent_once_and_not_for_each_contract_again(platform: Platform) -> None:
    rollout = platform.rollout(placing=placements(platform))
    rollout.deploy(larger(platform, "v1", 100), platform.deadline(), platform.told.append)
    before = platform.cluster.now()

    rollout.deploy(larger(platform, "v2", 100), platform.deadline(), platform.told.append)

    assert platform.cluster.now() == before


def test_a_version_whose_only_agent_is_lost_turns_round_long_before_its_deadline(platform: Platform) -> None:
    assert platform.deploy(platform.contract("v1")).good
    large = platform.cluster.world.add(Agent(hostname="10.0.0.9", region="eu", cpus=16))
    second, before = larger(platform, "v2", 6), platform.cluster.now()

    def say(line: str) -> None:
        if "started with" in line:
            platform.cluster.world.lose(large)

    end = platform.rollout(placing=placements(platform)).deploy(second, platform.deadline(), say)

    assert "turned round: hopeless: no agent can take an instance, even an empty one: cpus: 6" in end.why
    assert "version v1 runs again" in end.why
    assert platform.cluster.now() - before < 2 * HOPELESS_SECONDS


@pytest.mark.slow
def test_a_version_that_waits_for_room_has_its_whole_deadline(platform: Platform) -> None:
    assert platform.deploy(larger(platform, "v1", 1.9)).good
    before = platform.cluster.now()

    end = platform.deploy(larger(platform, "v2", 1.9), placing=placements(platform))

    assert "no progress for 600 s" in end.why and "hopeless" not in end.why
    assert platform.cluster.now() - before >= 600


def test_masters_that_do_not_answer_make_nothing_hopeless(platform: Platform) -> None:
    platform.cluster.inject(Fault(kind="status", status=500, program="mesos", calls=1))

    assert placements(platform).hopeless({"cpus": 1000}) is None
    assert placements(platform).hopeless({"cpus": 1000}) is not None


def test_an_agent_that_comes_in_time_ends_the_waiting(platform: Platform) -> None:
    assert platform.deploy(platform.contract("v1")).good
    second = larger(platform, "v2", 6)

    def say(line: str) -> None:
        if "waits for an agent" in line and len(platform.cluster.world.agents) == 1:
            platform.cluster.world.add(Agent(hostname="10.0.0.9", region="eu", cpus=16))

    end = platform.rollout(placing=placements(platform)).deploy(second, platform.deadline(), say)

    assert end.good and platform.running() == {"v2": 2}
