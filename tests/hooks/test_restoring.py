"""A restore's order of steps, against the simulator; what its jobs do: tests/contracts/test_restore.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.contracts.compiled import Compiled, CompiledContract, Route
from constructs_lib.errors import HookError
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.jobs import owner
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.restoring import restore
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import Profile, SimulatedCluster
from constructs_lib.spec.load import load
from tests.hooks.rolling_platform import Platform as Rolling
from tests.hooks.scripted_server import scripted
from tests.hooks.served import edge_says
from tests.hooks.simulated import CLUSTER, clock_of, compiled, contract, marathon_of

ROOT = Path(__file__).parents[2]


def job(name: str, **environment: str) -> dict[str, Any]:
    return {
        "name": name,
        "command": "true",
        "cpus": 0.1,
        "mem": 64,
        "environmentVariables": [{"name": k, "value": v} for k, v in environment.items()],
    }


def with_data(*jobs: dict[str, Any]) -> CompiledContract:
    restores = jobs or (job("db.restore", SNAPSHOT="latest"),)
    return contract("db", count=1, restores=restores, stops_to_restore=True)


@pytest.fixture
def sim() -> Iterator[SimulatedCluster]:
    with SimulatedCluster() as cluster:
        yield cluster


@contextmanager
def platform_of(sim: SimulatedCluster, seconds: float = 3600) -> Iterator[Platform]:
    found = {}
    for program in ("mesos", "marathon", "chronos"):
        host, _, port = sim.instances[program].addresses[0].rpartition(":")
        found[program] = (Instance(node="simulator-1", site="eu", address=host, port=int(port)),)
    planned = plan(load(ROOT / "cluster.yaml"), None)
    endpoints = Endpoints(instances=found, simulator=True)
    with Platform(planned, endpoints, Deadline(seconds, clock_of(sim)), {}) as platform:
        yield platform


def up(sim: SimulatedCluster, one: CompiledContract) -> None:
    with marathon_of(sim) as marathon:
        marathon.put(one.app.id, {**one.app.body, "instances": 1})
    sim.advance(60)


def done(
    sim: SimulatedCluster, one: CompiledContract, said: list[str], node: str | None = None, **also: Any
) -> str:
    with platform_of(sim, **also) as platform:
        return restore(platform, compiled(one), "db", snapshot="1a2b3c4d", node=node, say=said.append)


def test_the_application_stands_still_while_its_volume_is_restored_and_no_job_is_left(
    sim: SimulatedCluster,
) -> None:
    db = with_data()
    said: list[str] = []
    up(sim, db)

    assert done(sim, db, said) == "db: snapshot 1a2b3c4d is back"
    assert said == [
        "/db/1a2b3c4d: stopped while its data is restored",
        "db.restore: started",
        "db.restore: done",
        "/db/1a2b3c4d: 1 instance again",
    ]
    sim.advance(60)
    assert len(sim.tasks("/db/1a2b3c4d")) == 1
    with platform_of(sim) as platform:
        assert platform.chronos.jobs() == ()


def test_a_dump_is_restored_while_the_application_runs_and_then_loaded(sim: SimulatedCluster) -> None:
    db = replace(with_data(job("db.restore", SNAPSHOT="latest"), job("db.load")), stops_to_restore=False)
    said: list[str] = []
    up(sim, db)

    assert done(sim, db, said).endswith("is back, and loaded")
    assert said == ["db.restore: started", "db.restore: done", "db.load: started", "db.load: done"]


def test_a_restore_that_fails_starts_the_application_again_and_says_so(sim: SimulatedCluster) -> None:
    db = with_data()
    said: list[str] = []
    up(sim, db)
    sim.profile("db.restore*", Profile(fail_rate=1.0))

    with pytest.raises(HookError, match=r"db\.restore: failed, and what was there before is there again"):
        done(sim, db, said)

    assert said[-1] == "/db/1a2b3c4d: 1 instance again"
    sim.advance(60)
    assert len(sim.tasks("/db/1a2b3c4d")) == 1


def test_a_dump_that_can_t_be_loaded_is_not_said_to_be_undone(sim: SimulatedCluster) -> None:
    db = replace(with_data(job("db.restore", SNAPSHOT="latest"), job("db.load")), stops_to_restore=False)
    said: list[str] = []
    up(sim, db)
    sim.profile("db.load*", Profile(fail_rate=1.0))

    with pytest.raises(HookError, match=r"db\.load: failed, and the dump is back .*: restore again"):
        done(sim, db, said)


def test_each_node_with_data_is_restored_by_its_own_job(sim: SimulatedCluster) -> None:
    jobs = [job(f"db.restore.10-20-16-{n}", SNAPSHOT="latest") for n in (4, 5)]
    db = with_data(*jobs)
    said: list[str] = []
    up(sim, db)

    with pytest.raises(HookError, match=r"--node: got None, expected one of 10\.20\.16\.4, 10\.20\.16\.5"):
        done(sim, db, said)
    assert said == []
    done(sim, db, said, node="10.20.16.5")
    assert "db.restore.10-20-16-5: done" in said


def test_a_contract_without_a_backup_has_nothing_to_restore(sim: SimulatedCluster) -> None:
    with pytest.raises(HookError, match=r"db: its contract has no backup"):
        done(sim, contract("db"), [])


def test_no_agent_for_the_job_ends_in_time_with_the_application_back(sim: SimulatedCluster) -> None:
    db = with_data({**job("db.restore"), "cpus": 1000})
    said: list[str] = []
    up(sim, db)

    with pytest.raises(HookError, match="has not ended in time"):
        done(sim, db, said, seconds=120)


def test_jobs_of_a_restore_are_this_clusters(sim: SimulatedCluster) -> None:
    assert owner(CLUSTER) == "clustermesos:demo"


def test_an_edge_that_may_still_send_requests_ends_a_restore_before_anything_is_stopped(
    platform: Rolling,
) -> None:
    name, said = platform.name, list[str]()
    route = Route(host="db.example.org", path="/", service=name)
    running = replace(platform.contract("v1"), route=route)
    assert platform.deploy(running).good
    before = platform.rollout().documents.of(name).route
    assert before is not None
    data = replace(running, restores=(job(f"{name}.restore"),), stops_to_restore=True)
    shop = Compiled(cluster="shop", contracts=(data,))

    with (
        scripted(edge_says(platform, generation=1, instances=2)) as edge,
        platform.connected(edge=edge.address) as connected,
        pytest.raises(HookError, match=r"to take over generation 2 .* none of its instances was ended"),
    ):
        restore(connected, shop, name, snapshot="latest", node=None, say=said.append)

    assert platform.running() == {"v1": 2}
    assert platform.rollout().documents.of(name).route == replace(before, generation=3)
    assert said[-1] == f"route of {name}: as it was before"
