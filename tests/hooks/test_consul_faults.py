"""Faults of Consul in the middle of a rollout: it ends in the new version, or in a clear error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from constructs_lib.contracts.compiled import CompiledContract, Route
from constructs_lib.errors import HookError
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.versions import stored
from constructs_lib.simulator.cluster import Agent, SimulatedCluster
from tests.hooks.consul_server import ConsulServer
from tests.hooks.faulty_consul import FOR_EVER, Fault, FaultyConsul, faulty
from tests.hooks.rolling_platform import Platform

WRITES = {"progress": "kv/clustermesos/deployments/", "route": "kv/clustermesos/routes/"}
SECONDS = 300.0


class Faulty(Platform):
    """Consul behind the proxy, and waited for in the cluster's own time."""

    def consul_client(self) -> Consul:
        target = Target(name="consul", bases=(self.consul.url,))
        return Consul(Client(target, self.deadline(SECONDS)), self.consul.token)

    def routed(self, version: str) -> CompiledContract:
        """A contract whose route is written into Consul at each step."""
        route = Route(host=f"{self.name}.example.org", path="/", service=self.name)
        return replace(self.contract(version), route=route)


PASSING = {
    "Consul restarts": (Fault("hangs up", times=3), Fault("no leader", times=4)),
    "Consul has no leader for a while": (Fault("no leader", times=12),),
    "writes find no leader": (Fault("no leader", method="PUT", times=6),),
    "the answer to a compare-and-set of the progress is lost": (
        Fault("loses the answer", method="PUT", path=WRITES["progress"]),
    ),
    "the answer to a compare-and-set of the route is lost": (
        Fault("loses the answer", method="PUT", path=WRITES["route"]),
    ),
    "an answer breaks off": (Fault("half an answer", method="GET", times=2),),
    "a proxy's page comes instead": (Fault("web page", times=3),),
    "Consul is overloaded": (Fault("overloaded", times=4),),
    "answers come late": (Fault("slow", times=3),),
}
"""What goes away by itself: the rollout waits, and nobody has to do anything."""
STAYING = {
    "Consul stays without a leader": (Fault("no leader", times=FOR_EVER),),
    "Consul does not come back": (Fault("hangs up", times=FOR_EVER),),
    "the token may not write any longer": (Fault("forbidden", method="PUT", times=FOR_EVER),),
    "a proxy wants a login": (Fault("unauthorized", method="PUT", times=FOR_EVER),),
    "a proxy does not know the path": (Fault("not found", method="PUT", times=FOR_EVER),),
    "a proxy calls it a conflict": (Fault("conflict", method="PUT", times=FOR_EVER),),
    "a proxy finds it invalid": (Fault("invalid", method="PUT", times=FOR_EVER),),
    "the good version can't be kept": (
        Fault("forbidden", method="PUT", path="kv/clustermesos/versions/", times=FOR_EVER),
    ),
}
"""What somebody has to mend: a clear error, and the next run goes on."""


@pytest.fixture
def proxy(consul_at: ConsulServer) -> Iterator[FaultyConsul]:
    with faulty(consul_at) as found:
        yield found


@pytest.fixture
def platform(proxy: FaultyConsul) -> Iterator[Faulty]:
    agents = [Agent(hostname=f"10.0.0.{number}", region="eu") for number in (2, 3)]
    with SimulatedCluster(agents, masters=3) as cluster:
        yield Faulty(cluster, proxy.server)


def faults(named: tuple[Fault, ...], after: int) -> list[Fault]:
    """Fresh ones: the first begins after so many requests that it would take, the others once it is over."""
    return [replace(one, after=after if number == 0 else 0) for number, one in enumerate(named)]


def rolled(platform: Faulty) -> str:
    """How one run ended: what the strategy says, or the error."""
    try:
        end = platform.rollout().deploy(
            platform.routed("v2"), platform.deadline(SECONDS), platform.told.append
        )
    except HookError as error:
        return str(error)
    assert end.good, end.why
    return end.why


def ends_in_the_new_version(platform: Faulty, proxy: FaultyConsul) -> None:
    proxy.faults = []
    assert platform.running() == {"v2": 2}, platform.told
    rollout = platform.rollout()
    kept = rollout.documents.of(platform.name)
    assert kept.route is not None and dict(kept.route.weights) == {"v2": 100}
    assert kept.progress.done and kept.progress.settled == "v2"
    assert list(stored(rollout.store, platform.name)) == ["v2", "v1"], "both were good"


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 5])
@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_goes_away_by_itself_ends_in_the_new_version(
    name: str, after: int, platform: Faulty, proxy: FaultyConsul
) -> None:
    assert platform.deploy(platform.routed("v1")).good
    after = min(after, 1) if "compare-and-set" in name else after
    proxy.faults = faults(PASSING[name], after)

    why = rolled(platform)

    assert why == "version v2 runs", platform.told
    assert all(one.hit == one.times for one in proxy.faults), "each has hit"
    ends_in_the_new_version(platform, proxy)


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("name", STAYING)
def test_a_fault_that_stays_is_a_clear_error_and_the_next_run_finishes(
    name: str, after: int, platform: Faulty, proxy: FaultyConsul
) -> None:
    assert platform.deploy(platform.routed("v1")).good
    proxy.faults = faults(STAYING[name], 0 if "good version" in name else after)

    why = rolled(platform)

    assert "consul: " in why or "not done in time" in why, why
    assert len(why.splitlines()) == 1
    assert platform.consul.token not in " ".join([why, *platform.told])
    assert sum(platform.running().values()) >= 2, "as many as served before"

    proxy.faults = []
    assert rolled(platform) == "version v2 runs"
    ends_in_the_new_version(platform, proxy)
