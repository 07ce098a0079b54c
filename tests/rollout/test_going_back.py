"""Which nodes a rollback means, and which must not go back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.rollout.run import can_go_back, of_the_last_rollout, why_not_back
from constructs_lib.rollout.survey import NodeState
from tests.rollout.test_changes import ONE, seen, state


def brought(name: str, rollout: str | None, step: float = 1, **other: Any) -> NodeState:
    signed = {"id": rollout, "step": step} if rollout else None
    there = seen(ONE, **({"former": 1, "wanted": 2, "applied": 2, "rollout": signed} | other))
    return replace(state(name), seen=there)


def names(*states: NodeState) -> list[str]:
    return [found.target.name for found in of_the_last_rollout(states)]


def test_the_last_rollout_is_the_newest_by_its_steps_and_all_nodes_of_it() -> None:
    found = names(brought("a", "old", 1), brought("b", "new", 3), brought("c", "new", 2), brought("d", None))
    assert found == ["b", "c"]


def test_without_a_rollout_there_is_none() -> None:
    assert names(brought("a", None), state("b", trouble="ssh: no")) == []


@pytest.mark.parametrize(
    ("node", "can"),
    [
        ({"applied": 2, "wanted": 2, "former": 1}, True),
        # Never became healthy: it goes to the one that is applied.
        ({"applied": 1, "wanted": 2, "former": None}, True),
        ({"applied": 1, "wanted": 1, "former": None}, False),
        ({"applied": None, "wanted": 1, "former": None}, False),
    ],
)
def test_a_node_goes_back_where_it_has_something_to_go_back_to(node: dict[str, Any], can: bool) -> None:
    assert can_go_back(seen(ONE, **node)) is can


def test_a_master_does_not_go_back_to_a_quorum_of_fewer_masters_than_there_are() -> None:
    learnt = seen(ONE, rollout={"id": "x", "step": 1, "grows_from": 3})
    assert why_not_back(learnt, 3) is None
    assert why_not_back(learnt, 5) == "its former quorum is one of 3 masters, and by now there are 5"
    assert why_not_back(seen(ONE, rollout={"id": "x", "step": 1}), 5) is None
