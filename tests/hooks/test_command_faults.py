"""Faults in the middle of rollback, --prune and scale: each ends as it should, or the same again mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.errors import HookError
from constructs_lib.hooks import by_hand, versions
from constructs_lib.hooks.documents import Kept
from constructs_lib.simulator.cluster import Agent, Fault, SimulatedCluster
from tests.hooks import faulty_consul
from tests.hooks.consul_server import ConsulServer
from tests.hooks.faulty_consul import FaultyConsul, faulty
from tests.hooks.test_applications import left_over
from tests.hooks.test_consul_faults import SECONDS, Faulty
from tests.hooks.test_scaler import Measures, following, scaler_of

MARATHON: dict[str, Fault] = {
    **{str(status): Fault(kind="status", status=status) for status in (401, 403, 404, 409, 422, 500, 503)},
    "slow": Fault(kind="slow", delay=0.1),
    "half answer": Fault(kind="half_answer"),
    "lost answer": Fault(kind="lost_answer"),
    "web page": Fault(kind="html"),
    "leader change": Fault(kind="leader_change", seconds=5.0),
}
CONSUL: dict[str, faulty_consul.What] = {
    "401": "unauthorized",
    "403": "forbidden",
    "404": "not found",
    "409": "conflict",
    "422": "invalid",
    "500": "no leader",
    "503": "overloaded",
    "slow": "slow",
    "half answer": "half an answer",
    "lost answer": "loses the answer",
    "web page": "web page",
    "leader change": "no leader",
}
LONG = {"leader change": 12, "500": 1}
"""How many requests find no leader."""


@dataclass(frozen=True)
class Command:
    """One of the three: what there is before, the command itself, and how all is once it has ended."""

    prepare: Callable[[Faulty], None]
    run: Callable[[Faulty], bool]
    """Whether it succeeded; HookError where it could not go on."""
    ended: Callable[[Faulty], None]
    serves: int
    """How many instances serve at least while it is not done."""
    changes: str
    """The method of its requests that change something."""


def two_versions(platform: Faulty) -> None:
    for version in ("v1", "v2"):
        assert platform.deploy(platform.contract(version)).good


def roll_back(platform: Faulty) -> bool:
    """What `clustermesos rollback` does."""
    rollout, contract = platform.rollout(), platform.contract("v2")
    progress = rollout.documents.of(contract.name).progress
    back = versions.former(
        rollout.store,
        contract,
        progress.version,
        versions.under_way(rollout.store, contract, progress),
        progress.refused,
    )
    if progress.version != back.app.version:
        by_hand.refuse(rollout.documents, contract.name, str(progress.version), "rolled back by ops")
    return bool(rollout.deploy(back, platform.deadline(SECONDS), platform.told.append).good)


def rolled_back(platform: Faulty) -> None:
    assert platform.running() == {"v1": 2}, platform.told
    kept = platform.rollout().documents.of(platform.name).progress
    assert (kept.settled, dict(kept.refused), kept.done) == ("v1", {"v2": "rolled back by ops"}, True)


def one_version(platform: Faulty) -> None:
    assert platform.deploy(platform.routed("v1")).good


def prune(platform: Faulty) -> bool:
    """What `apply --prune` does once no contract names the application."""
    applications = platform.applications(prune=True)
    for change in left_over(platform, applications):
        applications.prune(change, platform.told.append)
    return True


def pruned(platform: Faulty) -> None:
    assert platform.running() == {}, platform.told
    rollout = platform.rollout()
    assert rollout.documents.of(platform.name) == Kept()
    assert versions.stored(rollout.store, platform.name) == {}


def busy(platform: Faulty) -> CompiledContract:
    return following(platform, "v1", "load")


def idle(platform: Faulty) -> None:
    assert platform.deploy(busy(platform)).good


def scale(platform: Faulty) -> bool:
    """What a round of `clustermesos scale` does."""
    measures: Any = Measures()
    measures.now = (1.0,) * 4
    contract = busy(platform)
    scaler = replace(scaler_of(platform, contract), sites={"eu": measures})
    decision, end = scaler.scale(contract, platform.deadline(SECONDS), platform.told.append)
    return decision.count is not None and (end is None or bool(end.good))


def scaled(platform: Faulty) -> None:
    assert platform.running() == {"v1": 5}, platform.told
    assert platform.rollout().documents.of(platform.name).count == 5


COMMANDS = {
    "rollback": Command(two_versions, roll_back, rolled_back, serves=2, changes="PUT"),
    "prune": Command(one_version, prune, pruned, serves=0, changes="DELETE"),
    "scale": Command(idle, scale, scaled, serves=2, changes="PUT"),
}


@pytest.fixture
def proxy(consul_at: ConsulServer) -> Iterator[FaultyConsul]:
    with faulty(consul_at) as found:
        yield found


@pytest.fixture
def platform(proxy: FaultyConsul) -> Iterator[Faulty]:
    agents = [Agent(hostname=f"10.0.0.{number}", region="eu") for number in (2, 3)]
    with SimulatedCluster(agents, masters=3) as cluster:
        yield Faulty(cluster, proxy.server)


def ends_well(command: Command, platform: Faulty, mend: Callable[[], None]) -> None:
    """By the command that met the fault, or by the same one again."""
    try:
        done = command.run(platform)
    except HookError as error:
        assert len(str(error).splitlines()) == 1
        assert platform.consul.token not in " ".join([str(error), *platform.told])
        done = False
    mend()
    if not done:
        assert sum(platform.running().values()) >= command.serves, platform.told
        assert command.run(platform), platform.told
    command.ended(platform)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["look", "change"])
@pytest.mark.parametrize("kind", MARATHON)
@pytest.mark.parametrize("name", COMMANDS)
def test_what_marathon_answers_in_the_middle_of_a_command_is_made_up_for(
    name: str, kind: str, what: str, platform: Faulty
) -> None:
    command = COMMANDS[name]
    command.prepare(platform)
    method = "GET" if what == "look" else command.changes
    platform.cluster.inject(replace(MARATHON[kind], program="marathon", method=method, path="/v2/*"))

    def hit() -> None:
        assert not platform.cluster.faults.listed(), "it has hit a request"

    ends_well(command, platform, hit)


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("kind", CONSUL)
@pytest.mark.parametrize("name", COMMANDS)
def test_what_consul_answers_in_the_middle_of_a_command_is_made_up_for(
    name: str, kind: str, after: int, platform: Faulty, proxy: FaultyConsul
) -> None:
    command = COMMANDS[name]
    command.prepare(platform)
    fault = faulty_consul.Fault(CONSUL[kind], path="kv/", times=LONG.get(kind, 1), after=after)
    proxy.faults = [fault]

    def mend() -> None:
        assert fault.hit, "it has hit a request"
        proxy.faults = []

    ends_well(command, platform, mend)
