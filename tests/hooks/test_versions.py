"""Going back to a version that was good, with a real Consul and the simulator's Marathon."""

from __future__ import annotations

import pytest

from constructs_lib.errors import HookError
from constructs_lib.hooks.by_hand import refuse
from constructs_lib.hooks.versions import KEPT, VERSIONS, former, stored
from constructs_lib.simulator.cluster.profiles import Profile
from tests.hooks.rolling_platform import Platform


def test_the_former_version_runs_again_and_the_newer_one_stays_away_until_it_is_asked_for(
    platform: Platform,
) -> None:
    first, second = platform.contract("v1"), platform.contract("v2")
    assert platform.deploy(first).good
    assert platform.deploy(second).good
    rollout = platform.rollout()
    back = former(rollout.store, second, "v2", None)
    assert (back.app.version, back.app.id, dict(back.app.body)) == ("v1", first.app.id, dict(first.app.body))

    refuse(rollout.documents, platform.name, "v2", "rolled back by alice")
    assert platform.deploy(back).good

    assert platform.running() == {"v1": 2}
    end = platform.deploy(second)
    assert not end.good
    assert "rolled back by alice" in end.why
    assert platform.running() == {"v1": 2}
    assert platform.deploy(second, forgive=True).good
    assert platform.running() == {"v2": 2}


def test_a_version_that_never_was_good_is_no_way_back(platform: Platform) -> None:
    good, bad = platform.contract("v1"), platform.contract("v2")
    assert platform.deploy(good).good
    platform.cluster.profile(f"/{platform.name}/v2", Profile(healthy_after=None))
    assert not platform.deploy(bad).good

    store = platform.rollout().store
    assert list(stored(store, platform.name)) == ["v1"]
    with pytest.raises(HookError, match="no version v2 to go back to; found good before: none"):
        former(store, bad, "v1", "v2")


def test_the_newest_good_versions_are_kept_and_no_more(platform: Platform) -> None:
    for number in range(KEPT + 2):
        assert platform.deploy(platform.contract(f"v{number}")).good

    kept = list(stored(platform.rollout().store, platform.name))
    assert kept == [f"v{number}" for number in range(KEPT + 1, 1, -1)]


def test_what_somebody_broke_by_hand_is_no_way_back_and_no_traceback(platform: Platform) -> None:
    store = platform.rollout().store
    for broken in ("{", "[1]", '{"a": 1}', '[{"version": "x"}]'):
        store.kv.put(f"{VERSIONS}{platform.name}", broken)
        with pytest.raises(HookError, match="no version to go back to"):
            former(store, platform.contract("v1"), None, None)
