"""The hook of jobs at a Chronos 2.x, whose paths have no /v1: made, left alone, changed, run, and pruned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from constructs_lib.hooks.chronos import PREFIXES, Chronos
from constructs_lib.hooks.hook import Outcome
from constructs_lib.hooks.jobs import Jobs
from constructs_lib.hooks.pipeline import run_hook
from constructs_lib.simulator.cluster import Fault, SimulatedCluster
from tests.hooks.simulated import client_of, compiled, contract, time_of
from tests.hooks.test_jobs import AFTER, HOURLY


@pytest.fixture
def sim() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(masters=2, chronos_version="2") as cluster:
        yield cluster


@pytest.fixture
def chronos(sim: SimulatedCluster) -> Iterator[Chronos]:
    with closing(client_of(sim, "chronos", seconds=10**6)) as client:
        yield Chronos(client)


def run(chronos: Chronos, *jobs: dict[str, Any], prune: bool = False) -> Outcome:
    wanted = compiled(contract("shop", jobs=jobs)) if jobs else compiled()
    hook = Jobs(chronos, wanted, prune=prune, now=lambda: time_of(chronos))
    return run_hook(hook, lambda _: None)


def test_jobs_are_made_left_alone_changed_and_pruned(chronos: Chronos) -> None:
    made = run(chronos, AFTER, HOURLY)
    assert made.good, made.error
    assert [change.name for change in made.changes] == ["shop.backup", "shop.after"]
    assert chronos.prefix == PREFIXES[1]

    before = chronos.client.requests
    assert run(chronos, AFTER, HOURLY).changes == ()
    assert chronos.client.requests == before + 1, "the prefix is found out once"

    (change,) = run(chronos, AFTER, {**HOURLY, "command": "false"}).changes
    assert change.details == ("its contract has changed", "command: 'true' → 'false'")
    assert run(chronos, HOURLY, prune=True).good
    assert [job["name"] for job in chronos.jobs()] == ["shop.backup"]


def test_how_a_job_ended_is_read_and_it_can_be_run_by_hand(sim: SimulatedCluster, chronos: Chronos) -> None:
    run(chronos, {**HOURLY, "schedule": "R/2099-01-01T00:00:00Z/PT1H"})
    chronos.run("shop.backup")
    sim.advance(600)

    (verdict,) = run(chronos, {**HOURLY, "schedule": "R/2099-01-01T00:00:00Z/PT1H"}).verdicts

    assert verdict.good and "last succeeded" in verdict.says


def test_a_leader_that_changes_and_a_broken_answer_are_gone_on_after(
    sim: SimulatedCluster, chronos: Chronos
) -> None:
    run(chronos, HOURLY)
    sim.change_leader("chronos", seconds=4)
    sim.inject(Fault(kind="half_answer", program="chronos", calls=1))

    assert run(chronos, HOURLY, AFTER).good
    assert len(chronos.jobs()) == 2
