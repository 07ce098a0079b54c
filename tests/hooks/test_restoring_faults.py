"""Faults in the middle of a restore: it ends in time, and nothing runs beside a job that moves its files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from constructs_lib.errors import HookError
from constructs_lib.simulator.cluster import Fault, SimulatedCluster
from constructs_lib.simulator.cluster.world import Task
from tests.hooks.test_jobs import BREAKS, PASSES
from tests.hooks.test_restoring import At, done, up, with_data

FAULTS = {
    **BREAKS,
    **PASSES,
    "no answer": Fault(kind="no_answer", calls=2),
    "lost answer": Fault(kind="lost_answer", calls=2),
    "refused for a minute": Fault(kind="refused", seconds=60),
    "refused": Fault(kind="refused"),
    "503 for ever": Fault(kind="status", status=503, calls=10**6),
}
PROGRAMS = ("chronos", "marathon", "mesos")
MIDDLE = "db.restore: started"
STAGES = (
    "db.find: started",
    "db.find: done",
    "/db/1a2b3c4d: stopped",
    MIDDLE,
    "db.restore: done",
)
HARMLESS = frozenset((*PASSES, "no answer", "refused for a minute"))
BOUND = 900.0
"""Seconds: a quarter of the run's time, of which a fault that stays used to take all."""


class Beside:
    """Whether an instance ever ran while a job that moves its files did."""

    def __init__(self, sim: SimulatedCluster) -> None:
        self.sim, self.seen = sim, False
        sim.world.watchers.append(self.watch)

    def watch(self, _task: Task) -> None:
        owners = {task.owner for task in self.sim.world.tasks.values() if not task.ended}
        self.seen |= "/db/1a2b3c4d" in owners and bool(owners & {"db.restore", "db.undo"})


@pytest.fixture
def sim() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(masters=2) as cluster:
        yield cluster


@pytest.mark.parametrize(
    "stage", [each if each == MIDDLE else pytest.param(each, marks=pytest.mark.slow) for each in STAGES]
)
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize(
    "program",
    ["chronos", *(pytest.param(each, marks=pytest.mark.slow) for each in PROGRAMS if each != "chronos")],
)
def test_a_fault_in_the_middle_of_a_restore_leaves_it_running_or_says_that_it_is_not(
    sim: SimulatedCluster, program: str, name: str, stage: str
) -> None:
    db, said = with_data(), ""
    up(sim, db)
    beside, began = Beside(sim), sim.now()
    at = At(stage, lambda: sim.inject(replace(FAULTS[name], program=program)))
    try:
        done(sim, db, at)
    except HookError as error:
        said = str(error)
        assert "\n" not in said

    assert sim.now() - began < BOUND
    sim.heal()
    sim.advance(120)
    assert not beside.seen
    runs = len(sim.tasks("/db/1a2b3c4d")) == 1
    assert runs or "stays stopped" in said or "was not started again" in said
    assert not (said and name in HARMLESS), said
