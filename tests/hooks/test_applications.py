"""Applications that no contract names any longer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from constructs_lib.contracts.compiled import Route
from constructs_lib.errors import HookError
from constructs_lib.hooks import by_hand, versions
from constructs_lib.hooks.applications import Applications
from constructs_lib.hooks.documents import Kept
from constructs_lib.hooks.hook import Change
from tests.hooks.edges import Edges, report
from tests.hooks.rolling_platform import Platform


def left_over(platform: Platform, applications: Applications) -> list[Change]:
    """Of this test's contract: Consul still holds what other tests have left there."""
    return [one for one in applications.left_over() if platform.name in one.name.split("/")]


def test_apps_that_no_contract_names_go_only_when_they_are_ours_and_somebody_says_so(
    platform: Platform,
) -> None:
    platform.deploy(platform.contract("v1"))
    marathon = platform.rollout().marathon
    theirs = {"cmd": "x", "labels": {"clustermesos/cluster": "another", "clustermesos/contract": "a"}}
    marathon.put("/theirs", {**theirs, "instances": 1, "constraints": [["@region", "IS", "eu"]]})
    marathon.put("/nobodys", {"cmd": "x", "instances": 1})

    [kept] = left_over(platform, platform.applications())
    assert (kept.name, kept.action) == (f"/{platform.name}/v1", "keep") and "--prune" in kept.details[0]

    applications = platform.applications(prune=True)
    [gone] = left_over(platform, applications)
    applications.prune(gone, platform.told.append)

    assert platform.running() == {}
    assert {app["id"] for app in platform.rollout().marathon.apps()} == {"/theirs", "/nobodys"}
    assert platform.rollout().documents.of(platform.name) == Kept()


def test_what_consul_keeps_of_a_contract_whose_app_somebody_deleted_is_told_and_pruned(
    platform: Platform,
) -> None:
    contract = platform.contract("v1")
    platform.deploy(contract)
    rollout = platform.rollout()
    rollout.marathon.delete(contract.app.id, force=True)
    platform.cluster.advance(60)

    [kept] = left_over(platform, platform.applications())
    assert (kept.kind, kept.name, kept.action) == ("record", platform.name, "keep")
    assert left_over(platform, platform.applications(contract)) == []

    applications = platform.applications(prune=True)
    [gone] = left_over(platform, applications)
    applications.prune(gone, platform.told.append)

    assert rollout.documents.of(platform.name) == Kept()
    assert versions.stored(rollout.store, platform.name) == {}
    assert left_over(platform, platform.applications()) == []
    assert platform.told[-1] == f"{platform.name}: its route, if any, and its record deleted from Consul"


def routed(platform: Platform) -> None:
    """Deploy a version with a route."""
    route = Route(host="shop.example.org", path="/", service=platform.name)
    assert platform.deploy(replace(platform.contract("v1", drain_timeout=5.0), route=route)).good


def test_an_app_goes_once_edges_have_finished_what_they_sent_it_and_what_that_cut_is_told(
    platform: Platform,
) -> None:
    routed(platform)
    edges = Edges(*(report(platform.name, 2, older=1, connections=3) for _ in range(7)), report("others", 1))
    applications = platform.applications(prune=True, edges=edges)
    [gone] = left_over(platform, applications)

    applications.prune(gone, platform.told.append)

    assert platform.told[-1] == (
        f"app /{platform.name}/v1: deleted; 3 connections cut, they did not end in time"
    )
    assert platform.running() == {}
    assert platform.rollout().documents.of(platform.name) == Kept()


@pytest.mark.slow
def test_an_app_that_an_edge_may_still_send_something_stays_and_is_pruned_by_the_next_run(
    platform: Platform,
) -> None:
    routed(platform)
    applications = platform.applications(prune=True, edges=Edges(report(platform.name, 1)))
    [gone] = left_over(platform, applications)

    with pytest.raises(HookError, match=r"edge-1\.eu to take over generation 2 .* none of its instances was"):
        applications.prune(gone, platform.told.append)

    assert platform.running() == {"v1": 2}
    again = platform.applications(prune=True)
    for change in left_over(platform, again):
        again.prune(change, platform.told.append)
    assert platform.running() == {}


def test_a_pruned_contract_that_is_made_anew_has_no_version_of_the_former_one_to_go_back_to(
    platform: Platform,
) -> None:
    platform.deploy(platform.contract("v1"))
    applications = platform.applications(prune=True)
    for change in left_over(platform, applications):
        applications.prune(change, platform.told.append)

    assert versions.stored(platform.rollout().store, platform.name) == {}


def test_a_version_that_was_rolled_back_is_told_and_left_alone_until_somebody_wants_it_again(
    platform: Platform,
) -> None:
    first, second = platform.contract("v1"), platform.contract("v2")
    for one in (first, second):
        platform.deploy(one)
    by_hand.refuse(platform.rollout().documents, platform.name, "v2", "rolled back by ops")
    platform.deploy(first)

    applications = platform.applications(second)

    [change] = applications.changes(second)
    assert change.action == "keep"
    assert change.details == ("version v2 is not deployed again by itself: rolled back by ops",)
    verdict = applications.verdict(second)
    assert not verdict.good
    assert verdict.says == f"{change.details[0]}; 2 of 2 instances of version v1 serve"
    assert verdict.try_next == "another version in the contract, or clustermesos apply --retry"
    assert applications.changes(first) == ()
