"""A whole application is taken out of its route: what is waited for, for how long, and what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from constructs_lib.contracts.compiled import Deployment
from constructs_lib.errors import HookError
from constructs_lib.hooks.documents import RouteDocument
from constructs_lib.hooks.edge import EdgeReport
from constructs_lib.hooks.emptying import Emptying
from tests.hooks.edges import Edges, report, silent
from tests.hooks.rolling_platform import Platform


class Emptied:
    """A route of generation 1, what edges say while it is emptied, and what comes of it."""

    def __init__(self, platform: Platform, *says: EdgeReport | tuple[EdgeReport, ...], **route: Any) -> None:
        self.platform, self.name = platform, platform.name
        self.documents = platform.rollout().documents
        self.route = RouteDocument(
            contract=self.name,
            service=self.name,
            host="shop.example.org",
            path="/",
            generation=1,
            weights={"v1": 100},
            drain=("one",),
            **route,
        )
        self.documents.store_route(self.route, 0)
        self.edges = Edges(*(says or ((),)))
        self.emptying = Emptying(documents=self.documents, edges=self.edges)

    def empty(self, seconds: float = 5000.0, **how: Any) -> tuple[int, Any]:
        """How many connections it cuts, and how long it took."""
        began, deadline = self.platform.cluster.now(), self.platform.deadline(seconds)
        cut = self.emptying.empty(self.name, deadline, self.platform.told.append, **how)
        return cut, self.platform.cluster.now() - began

    def kept(self) -> RouteDocument:
        found = self.documents.of(self.name).route
        assert found is not None
        return found


def test_every_edge_has_taken_it_over_and_finished_what_it_had_before_anything_may_be_ended(
    platform: Platform,
) -> None:
    name = platform.name
    done, other = report(name, 2), report(name, 2, name="edge-2.eu")
    emptied = Emptied(
        platform,
        (report(name, 1), other),
        (silent(), other),
        (report(name, 2, older=2, connections=3), other),
        (done, report(name, 2, name="edge-2.eu", older=1)),
        (done, other),
    )

    assert emptied.empty() == (0, pytest.approx(4))

    assert platform.told == [
        f"route of {name}, generation 2: sends nobody anything any longer",
        f"{name}: waits for edge-1.eu to take over generation 2 of the route",
        f"{name}: waits for 3 connections of older workers on edge-1.eu to end",
        f"{name}: waits for 0 connections of older workers on edge-2.eu to end",
    ]
    kept = emptied.kept()
    assert (kept.weights, kept.drain, kept.host) == ({}, (), "shop.example.org")


@pytest.mark.parametrize(
    ("written", "contracts", "seconds"),
    [
        ({}, None, 60),
        ({"drain_timeout": 7.0}, None, 7),
        ({"drain_timeout": 7.0}, Deployment(strategy="rolling", drain_timeout=3.0), 3),
    ],
    ids=["the default", "its route's", "its contract's"],
)
def test_what_outlasts_the_drain_timeout_is_counted_as_cut(
    platform: Platform, written: dict[str, Any], contracts: Deployment | None, seconds: float
) -> None:
    emptied = Emptied(platform, report(platform.name, 2, older=1, connections=2), **written)

    assert emptied.empty(deployment=contracts) == (2, pytest.approx(seconds, abs=1))


def test_a_route_that_was_written_before_it_said_how_to_drain_has_the_default(platform: Platform) -> None:
    emptied = Emptied(platform, report(platform.name, 2, older=1, connections=2), drain_timeout=7.0)
    key = f"clustermesos/routes/{platform.name}"
    consul = platform.consul_client()
    document = json.loads(consul.kv.get(key)[1]["Value"])
    del document["drain_timeout"], document["on_drain_timeout"]
    consul.kv.put(key, json.dumps(document))

    assert emptied.empty() == (2, pytest.approx(60, abs=1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "waited"), [(5000.0, 600), (30.0, 30)], ids=["the progress deadline", "the run's time"]
)
@pytest.mark.parametrize("says", [silent(), report("another", 4)], ids=["silent", "without the route"])
def test_an_edge_that_does_not_confirm_is_an_error_and_never_a_reason_to_go_on(
    platform: Platform, says: EdgeReport, seconds: float, waited: int
) -> None:
    emptied = Emptied(platform, says)

    with pytest.raises(HookError) as failed:
        emptied.empty(seconds)

    assert str(failed.value) == (
        f"{platform.name}: waits for edge-1.eu to take over generation 2 of the route: not in {waited} s, so "
        "none of its instances was ended; next: clustermesos status, then the same command again, which goes "
        "on from there"
    )


@pytest.mark.slow
def test_a_contract_that_lets_nobody_be_cut_off_is_waited_for_until_the_end_of_the_run(
    platform: Platform,
) -> None:
    busy = report(platform.name, 2, older=1, connections=2)
    emptied = Emptied(platform, busy, on_drain_timeout="wait")

    with pytest.raises(HookError, match=r"2 connections of older workers on edge-1\.eu to end: not in 900 s"):
        emptied.empty(seconds=900)


@pytest.mark.slow
def test_why_nginx_refuses_the_route_is_told_and_an_edge_that_never_had_it_is_not_waited_for(
    platform: Platform,
) -> None:
    refuses = report(platform.name, 1, problem="its document is no route")
    emptied = Emptied(platform, refuses)
    with pytest.raises(HookError, match=r"; edge-1\.eu: its document is no route: not in 600 s"):
        emptied.empty()

    never = report(platform.name, 0, problem="a has shop.example.org/ already")
    emptied.edges.reports = [never]
    assert emptied.empty() == (0, 0)


def test_a_route_that_goes_for_good_gives_its_place_away_at_once(platform: Platform) -> None:
    emptied = Emptied(platform)

    emptied.empty(for_good=True)

    assert emptied.kept().host == f"{platform.name}.gone.invalid"


@pytest.mark.slow
def test_a_run_that_ended_in_between_is_gone_on_with_by_the_next_one(platform: Platform) -> None:
    emptied = Emptied(platform, silent())
    with pytest.raises(HookError):
        emptied.empty(for_good=True)
    busy, done = report(platform.name, 2, older=1), report(platform.name, 2)
    emptied.edges.reports = [busy, done]

    # Not counted from when it was emptied first, which nobody has kept.
    assert emptied.empty(for_good=True) == (0, pytest.approx(1))

    assert emptied.kept().generation == 2


def test_whoever_writes_the_route_in_between_is_not_overlooked(platform: Platform) -> None:
    emptied = Emptied(platform, report(platform.name, 1), report(platform.name, 2), report(platform.name, 4))
    look = emptied.edges.look

    def written_in_between() -> tuple[EdgeReport, ...]:
        if emptied.edges.looks == 0:
            kept = emptied.documents.of(platform.name)
            again = RouteDocument(**{**vars(emptied.route), "generation": 3})
            emptied.documents.store_route(again, kept.route_index)
        return look()

    emptied.edges.look = written_in_between  # type: ignore[method-assign]
    assert emptied.empty() == (0, pytest.approx(2))
    assert (emptied.kept().generation, emptied.kept().weights) == (4, {})


def test_a_contract_without_a_route_asks_no_edge(platform: Platform) -> None:
    emptied = Emptied(platform)
    emptied.documents.forget(platform.name)

    assert emptied.empty() == (0, 0)
    assert emptied.edges.looks == 0


def test_a_route_is_filled_as_it_was_unless_somebody_has_filled_it_already(platform: Platform) -> None:
    emptied = Emptied(platform)
    emptied.empty()

    assert emptied.emptying.refill(emptied.route)
    kept = emptied.kept()
    assert kept == RouteDocument(**{**vars(emptied.route), "generation": 3})

    assert not emptied.emptying.refill(emptied.route)
    assert emptied.kept() == kept
