"""The step before more masters: only the quorum differs, and the lock lets them in afterwards."""

from __future__ import annotations

import dataclasses

import pytest

from constructs_lib.components.model import Role
from constructs_lib.errors import LockError
from constructs_lib.plan.growth import Growth, as_locked, grown, growths, with_quorum
from constructs_lib.plan.lock import Lock
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import WHOLE


def spec(masters: int) -> ClusterSpec:
    site = WHOLE["sites"]["eu"] | {"masters": {"count": masters}}  # type: ignore[index]
    return ClusterSpec.model_validate(WHOLE | {"sites": {"eu": site}})


@pytest.fixture
def lock() -> Lock:
    """Three masters run."""
    return plan(spec(3)).lock


def test_five_masters_where_three_run_are_a_growth(lock: Lock) -> None:
    (growth,) = growths(spec(5), lock)
    assert growth == Growth(site="eu", old=3, new=5)
    assert (growth.quorum, growth.masters) == (3, ("master-4", "master-5"))


@pytest.mark.parametrize(("runs", "wanted"), [(3, 3), (5, 3), (1, 3)])
def test_the_same_fewer_or_the_first_several_are_none(runs: int, wanted: int) -> None:
    assert growths(spec(wanted), plan(spec(runs)).lock) == ()


def test_before_the_first_deploy_there_is_nothing_to_grow() -> None:
    assert growths(spec(5), None) == ()


def test_the_step_before_changes_the_quorum_and_nothing_else(lock: Lock) -> None:
    growing = growths(spec(5), lock)
    before = plan(spec(3), lock).site("eu")
    step = with_quorum(plan(as_locked(spec(5), growing), lock), growing).site("eu")
    assert step.quorum == 3
    assert dataclasses.replace(step, quorum=before.quorum) == before


def test_the_lock_refuses_five_until_it_has_grown(lock: Lock) -> None:
    with pytest.raises(LockError, match="clustermesos nodes apply"):
        plan(spec(5), lock)
    planned = plan(spec(5), grown(lock, growths(spec(5), lock)))
    masters = planned.site("eu").nodes_of(Role.MASTER)
    assert [node.name for node in masters] == [f"master-{number}" for number in range(1, 6)]
    # Those that run stay where they are.
    assert masters[:3] == plan(spec(3), lock).site("eu").nodes_of(Role.MASTER)
