"""Which faults are tried in the middle of a run, counted: none of those that were asked for is missing."""

from __future__ import annotations

import pytest

from constructs_lib.simulator.cluster import Fault
from tests.hooks import (
    test_command_faults,
    test_consul_faults,
    test_jobs,
    test_restoring_faults,
    test_rollout_faults,
)

ASKED_FOR = frozenset(
    ("401", "403", "404", "409", "422", "500", "503", "slow", "half answer", "web page", "leader change")
)
MARATHON = {"html": "web page", "half_answer": "half answer", "leader_change": "leader change"}
CONSUL = {
    "unauthorized": "401",
    "forbidden": "403",
    "not found": "404",
    "conflict": "409",
    "invalid": "422",
    "no leader": "500",
    "overloaded": "503",
    "slow": "slow",
    "half an answer": "half answer",
    "web page": "web page",
}


def simulated(faults: dict[str, Fault]) -> set[str]:
    return {
        str(one.status) if one.kind == "status" else MARATHON.get(one.kind, one.kind)
        for one in faults.values()
    }


def of_consul() -> set[str]:
    named = {**test_consul_faults.PASSING, **test_consul_faults.STAYING}
    found = {CONSUL[one.what] for faults in named.values() for one in faults if one.what in CONSUL}
    # While servers elect another leader, each says that there is none.
    return found | ({"leader change"} if "Consul has no leader for a while" in named else set())


@pytest.mark.parametrize("program", ["marathon", "chronos", "consul"])
def test_every_kind_of_fault_is_tried_at_every_program(program: str) -> None:
    tried = {
        "marathon": simulated(test_rollout_faults.answers()),
        "chronos": simulated({**test_jobs.BREAKS, **test_jobs.PASSES}),
        "consul": of_consul(),
    }[program]

    assert sorted(ASKED_FOR - tried) == []


def test_every_kind_of_fault_is_tried_in_the_middle_of_a_restore() -> None:
    assert sorted(ASKED_FOR - simulated(test_restoring_faults.FAULTS)) == []
    assert set(test_restoring_faults.PROGRAMS) == {"marathon", "chronos", "mesos"}


@pytest.mark.parametrize("faults", [test_command_faults.MARATHON, test_command_faults.CONSUL])
def test_every_kind_of_fault_is_tried_at_rollback_prune_and_scale(faults: dict[str, object]) -> None:
    assert sorted(test_command_faults.COMMANDS) == ["prune", "rollback", "scale"]
    assert sorted(ASKED_FOR - faults.keys()) == []


def test_more_than_25_faults_have_a_name() -> None:
    named = [
        *test_rollout_faults.answers(),
        *test_rollout_faults.WORLD,
        *(f"chronos {name}" for name in (*test_jobs.BREAKS, *test_jobs.PASSES)),
        *test_consul_faults.PASSING,
        *test_consul_faults.STAYING,
    ]

    assert len(set(named)) == len(named) >= 25
