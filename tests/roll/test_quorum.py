from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib.roll.quorum import ensemble_trouble, quorum, why_not

THREE = ("master-1", "master-2", "master-3")
FIVE = (*THREE, "master-4", "master-5")


@pytest.mark.parametrize(("voters", "need"), [(1, 1), (3, 2), (5, 3)])
def test_a_quorum_is_more_than_half(voters: int, need: int) -> None:
    assert quorum(voters) == need


def test_all_healthy_lets_each_go() -> None:
    assert all(why_not(THREE, THREE, target, votes=True) is None for target in THREE)


def test_one_other_sick_of_three_would_lose_the_quorum_and_the_refusal_says_the_sum() -> None:
    reason = why_not(THREE, ("master-1", "master-3"), "master-1", votes=True)
    assert reason == "master-2 is not healthy: without master-1, 1 of 3 would be left and the quorum is 2"


def test_one_other_sick_of_five_is_refused_though_the_quorum_would_just_hold() -> None:
    reason = why_not(FIVE, FIVE[1:], "master-2", votes=True)
    assert reason is not None
    assert "3 of 5 would be left and the quorum is 3" in reason
    assert "would stop the cluster" in reason


def test_the_sick_one_itself_may_be_replaced_when_all_others_are_healthy() -> None:
    assert why_not(THREE, ("master-1", "master-3"), "master-2", votes=True) is None


def test_a_single_master_may_be_replaced() -> None:
    assert why_not(("master-1",), ("master-1",), "master-1", votes=True) is None


def test_edges_have_no_quorum_and_still_go_one_at_a_time() -> None:
    reason = why_not(("edge-1", "edge-2", "edge-3"), ("edge-1",), "edge-1", votes=False)
    assert reason == "edge-2 and edge-3 are not healthy: without edge-1, 0 of 3 would be left"


@given(size=st.sampled_from([1, 3, 5]), data=st.data())
def test_whatever_is_allowed_keeps_all_the_others(size: int, data: st.DataObject) -> None:
    members = FIVE[:size]
    healthy = data.draw(st.sets(st.sampled_from(members)))
    target = data.draw(st.sampled_from(members))
    if why_not(members, healthy, target, votes=True) is None:
        assert set(members) - {target} <= healthy
        assert size == 1 or len(healthy - {target}) >= quorum(size)


@pytest.mark.parametrize(
    ("modes", "trouble"),
    [
        ({}, None),
        ({"master-1": "standalone"}, None),
        ({"master-1": "leader", "master-2": "follower", "master-3": "follower"}, None),
        ({"master-1": "leader"}, "ZooKeeper of master-1 is leader, expected standalone"),
        (
            {"master-1": "follower", "master-2": "follower", "master-3": "follower"},
            "ZooKeeper has 0 leaders (none), expected one",
        ),
        (
            {"master-1": "leader", "master-2": "follower", "master-3": "leader"},
            "ZooKeeper has 2 leaders (master-1, master-3), expected one",
        ),
        (
            {"master-1": "leader", "master-2": "standalone", "master-3": "follower"},
            "ZooKeeper of master-2 is standalone, expected follower",
        ),
        (
            {"master-1": "leader", "master-2": None, "master-3": "follower"},
            "ZooKeeper of master-2 does not say what it is",
        ),
    ],
)
def test_an_ensemble_is_one_leader_and_its_followers(
    modes: dict[str, str | None], trouble: str | None
) -> None:
    assert ensemble_trouble(modes) == trouble
