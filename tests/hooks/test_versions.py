"""Going back to a version that was good, with a real Consul and the simulator's Marathon."""

from __future__ import annotations

from dataclasses import replace

import pytest

from constructs_lib.errors import HookError
from constructs_lib.hooks.by_hand import refuse
from constructs_lib.hooks.ours import by_contract
from constructs_lib.hooks.versions import KEPT, VERSIONS, forced, former, stored
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


def test_what_was_good_before_is_no_canary_when_it_comes_back(platform: Platform) -> None:
    canary = platform.contract("v2", "canary", promote="manual")
    platform.deploy(platform.contract("v1"))

    back = former(platform.rollout().store, canary, "v2", None)

    assert back.deployment == replace(canary.deployment, strategy="rolling")


def test_going_back_twice_does_not_end_where_it_began(platform: Platform) -> None:
    first, second = platform.contract("v1"), platform.contract("v2")
    for one in (first, second):
        platform.deploy(one)
    store, refused = platform.rollout().store, {"v2": "rolled back by alice"}

    with pytest.raises(HookError) as told:
        former(store, second, "v1", None, refused)
    assert str(told.value) == (
        f"{platform.name}: no version to go back to; found good before: none; v2 was given up: "
        "rolled back by alice"
    )
    with pytest.raises(HookError, match=r"v2 was given up: rolled back by alice; rollback .* --force"):
        former(store, second, "v1", "v2", refused)
    assert former(store, second, "v1", "v2").app.version == "v2", "forced"


def test_a_version_that_never_was_good_is_no_way_back(platform: Platform) -> None:
    good, bad = platform.contract("v1"), platform.contract("v2")
    assert platform.deploy(good).good
    platform.cluster.profile(f"/{platform.name}/v2", Profile(healthy_after=None))
    assert not platform.deploy(bad).good

    store = platform.rollout().store
    assert list(stored(store, platform.name)) == ["v1"]
    with pytest.raises(HookError, match="no version v2 to go back to; found good before: none"):
        former(store, bad, "v1", "v2")


def test_a_version_that_never_was_good_runs_again_where_somebody_forces_it(platform: Platform) -> None:
    good, bad = platform.contract("v1"), platform.contract("v2")
    assert platform.deploy(good).good
    platform.cluster.profile(f"/{platform.name}/v2", Profile(healthy_after=None))
    assert not platform.deploy(bad).good
    platform.cluster.profile(f"/{platform.name}/v2", Profile())

    rollout = platform.rollout(forgive=True)
    there = by_contract(rollout.marathon.apps(), "shop")[platform.name]
    back = forced(there, good, "v2")
    assert back.app.id == f"/{platform.name}/v2" and back.app.checked
    assert {name: back.app.body[name] for name in bad.app.body if name != "healthChecks"} == {
        name: one for name, one in bad.app.body.items() if name != "healthChecks"
    }
    assert not {"instances", "tasks", "version", "deployments"} & back.app.body.keys()
    assert rollout.deploy(back, platform.deadline(), platform.told.append).good

    assert platform.running() == {"v2": 2}
    assert list(stored(rollout.store, platform.name)) == ["v2", "v1"], "from now on it was good"


def test_a_version_that_marathon_does_not_have_cant_be_forced(platform: Platform) -> None:
    assert platform.deploy(platform.contract("v1")).good
    there = by_contract(platform.rollout().marathon.apps(), "shop")[platform.name]

    with pytest.raises(HookError, match=r"Marathon has no version v3; it still has: v1 .*apply --retry"):
        forced(there, platform.contract("v2"), "v3")


@pytest.mark.slow
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
