"""The loop over a simulated Marathon, with time that a test turns, and documents in a real Consul."""

from __future__ import annotations

from dataclasses import replace

import pytest

from constructs_lib.contracts.compiled import Route
from constructs_lib.errors import HookError
from constructs_lib.hooks.documents import RouteDocument
from constructs_lib.hooks.observed import Analysis, Judgement, Progress
from constructs_lib.hooks.rollout import Rollout
from constructs_lib.simulator.cluster.profiles import Profile
from tests.hooks.rolling_platform import NoEdges, Platform


def test_a_contract_is_deployed_changed_and_then_left_alone(platform: Platform) -> None:
    first, second = platform.contract("v1"), platform.contract("v2")
    assert platform.deploy(first).good

    end = platform.deploy(second)

    assert (end.good, end.why) == (True, "version v2 runs")
    assert platform.running() == {"v2": 2}
    before = len(platform.told)
    applications = platform.applications(second)
    assert applications.changes(second) == ()
    assert applications.deploy(second, platform.deadline(), platform.told.append).good
    assert len(platform.told) == before


@pytest.mark.parametrize("lines", range(1, 7))
def test_a_process_that_ends_anywhere_is_followed_by_one_that_finishes(
    lines: int, platform: Platform
) -> None:
    platform.deploy(platform.contract("v1"))
    told: list[str] = []

    def say(text: str) -> None:
        told.append(text)
        if len(told) == lines:
            raise KeyboardInterrupt

    second = platform.contract("v2")
    with pytest.raises(KeyboardInterrupt):
        platform.rollout().deploy(second, platform.deadline(), say)

    assert platform.deploy(second).good
    assert platform.running() == {"v2": 2}


def test_an_app_that_goes_between_the_look_and_the_step_is_looked_at_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.deploy(platform.contract("v1"))
    rollout, deleted = platform.rollout(), list[str]()
    scale = rollout.marathon.scale

    def late(id: str, *number: int, **how: bool) -> str | None:
        if not deleted:
            deleted.append(id)
            rollout.marathon.delete(id, force=True)
            platform.cluster.advance(30)
        return scale(id, *number, **how)

    monkeypatch.setattr(rollout.marathon, "scale", late)
    end = rollout.deploy(platform.contract("v2"), platform.deadline(), platform.told.append)

    assert end.good and deleted
    assert f"{platform.name}: looks again, {deleted[0]} was deleted in between" in platform.told
    assert platform.running() == {"v2": 2}


def test_a_version_that_crashes_is_turned_round_kept_and_tried_again_when_somebody_says_so(
    platform: Platform,
) -> None:
    platform.deploy(platform.contract("v1"))
    platform.cluster.profile("*/v2", Profile(healthy_after=None, fails_after=1.0))
    second = platform.contract("v2")

    end = platform.deploy(second)

    assert not end.good and "crash loop" in end.why
    assert platform.running() == {"v1": 2, "v2": 0}
    goes_back = [
        line for line in platform.told if line.startswith(f"{platform.name}: version v2 goes back: ")
    ]
    assert [line.partition("back: ")[2].partition(":")[0] for line in goes_back] == ["crash loop"]
    assert "was deployed before and turned round: crash loop" in platform.deploy(second).why

    platform.cluster.profile("*/v2", Profile())
    assert platform.deploy(second, forgive=True).good
    assert platform.running() == {"v2": 2}


def test_a_version_that_gets_no_room_is_turned_round_by_the_deadline(platform: Platform) -> None:
    platform.deploy(platform.contract("v1"))
    second = platform.contract("v2")
    big = replace(second, app=replace(second.app, body={**second.app.body, "cpus": 99}))

    end = platform.deploy(big)

    assert "no progress for 60 s: 0 of 2 instances are happy, 1 not started" in end.why
    assert platform.running() == {"v1": 2, "v2": 0}


def test_a_deployment_that_is_out_of_time_says_so_and_goes_on_later(platform: Platform) -> None:
    platform.deploy(platform.contract("v1"))
    second = platform.contract("v2")

    with pytest.raises(HookError, match=r"not done in time, stopped where it is .*apply goes on"):
        platform.deploy(second, seconds=3.0)

    [change] = platform.applications(second).changes(second)
    assert any("v1 → v2" in line or "v1 still has" in line for line in change.details)
    assert platform.deploy(second).good
    assert platform.rollout().pending(second) == ()


def test_a_change_of_marathons_leader_in_the_middle_is_waited_for(platform: Platform) -> None:
    platform.deploy(platform.contract("v1"))
    second = platform.contract("v2")
    done: list[str] = []

    def say(text: str) -> None:
        done.append(text)
        if len(done) == 2:
            platform.cluster.change_leader("marathon", 10.0)

    assert platform.rollout().deploy(second, platform.deadline(), say).good
    assert platform.running() == {"v2": 2}


def test_without_any_consul_applications_run_all_the_same_and_no_route_is_written(platform: Platform) -> None:
    rollout = platform.rollout()
    rollout = Rollout(
        marathon=rollout.marathon, sites={}, home="eu", edges=NoEdges(), now=platform.cluster.now
    )
    route = Route(host="shop.example.org", path="/", service=platform.name)
    for version in ("v1", "v2"):
        contract = replace(platform.contract(version), route=route, service=platform.name)
        assert rollout.deploy(contract, platform.deadline(), platform.told.append).good
        assert rollout.pending(contract) == ()

    assert platform.running() == {"v2": 2}
    assert not any("route" in line for line in platform.told)


def test_a_route_that_is_missing_or_moves_is_pending(platform: Platform) -> None:
    contract = replace(
        platform.contract("v1"), route=Route(host="new.example.org", path="/", service=platform.name)
    )
    assert platform.rollout().pending(contract) == ("route new.example.org/",)
    document = RouteDocument(contract=platform.name, service=platform.name, host="old.example.org", path="/")
    platform.rollout().documents.store_route(document, 0)

    assert platform.rollout().pending(contract) == ("route old.example.org/ → new.example.org/",)

    assert platform.deploy(contract).good
    kept = platform.rollout().documents.of(platform.name).route
    assert kept is not None and kept.host == "new.example.org" and kept.weights == {"v1": 100}


@pytest.mark.parametrize("says", ["good", "bad"])
def test_only_while_a_canary_is_watched_anybody_is_asked_about_it(says: Analysis, platform: Platform) -> None:
    asked: list[Progress] = []

    class Asked:
        def judge(self, _contract: object, progress: Progress, _now: float) -> Judgement:
            asked.append(progress)
            return Judgement(says=says, why="errors: 7")

    platform.deploy(platform.contract("v1"))

    end = platform.deploy(platform.contract("v2", "canary", canary_seconds=5.0), analyst=Asked())

    assert end.good == (says == "good"), end.why
    assert {(one.version, one.done, one.promoted, one.turned) for one in asked} == {
        ("v2", False, False, None)
    }


def test_a_route_that_was_left_empty_is_pending_and_filled_again(platform: Platform) -> None:
    route = Route(host="shop.example.org", path="/", service=platform.name)
    contract = replace(platform.contract("v1", drain_timeout=90.0, on_drain_timeout="wait"), route=route)
    assert platform.deploy(contract).good
    rollout = platform.rollout()
    rollout.emptying.empty(platform.name, platform.deadline(), platform.told.append)

    assert platform.rollout().pending(contract) == ("route shop.example.org/ sends nobody anything",)
    assert platform.deploy(contract).good
    kept = rollout.documents.of(platform.name).route
    assert kept is not None and kept.weights == {"v1": 100}
    assert (kept.drain_timeout, kept.on_drain_timeout) == (90.0, "wait"), "for when the contract is gone"
    assert platform.rollout().pending(contract) == ()
