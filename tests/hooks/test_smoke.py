"""The smoke test against scripted edges: whom it asks, by which name, and what it says of each answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from constructs_lib.contracts.compiled import CompiledContract, Route
from constructs_lib.hooks.deadline import REAL, Clock, Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.hook import Verdict
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.smoke import ASK_SECONDS, smoke_test
from scripts.embedded_aws import free_port
from tests.hooks.checked_platform import CLUSTER
from tests.hooks.scripted_server import Asked, Jumps, Says, scripted
from tests.hooks.simulated import compiled, contract

NOBODY = "no application is routed here yet\n"


def shop(smoke: str | None = "/shop/ok") -> CompiledContract:
    return contract("shop", route=Route(host="shop.example.org", path="/shop", service="shop", smoke=smoke))


def smoked(
    *contracts: CompiledContract, clock: Clock | None = None, seconds: float = 60.0, **fronts: list[int]
) -> tuple[Verdict, ...]:
    """The verdicts; `fronts` are the edges' ports by site, and time passes by sleeping alone."""
    deadline = Deadline(seconds, clock or Jumps().clock)
    instances = {
        f"front/{site}": tuple(
            Instance(node=f"edge-{number}", site=site, address="127.0.0.1", port=port)
            for number, port in enumerate(ports, 1)
        )
        for site, ports in fronts.items()
    }
    with Platform(CLUSTER, Endpoints(instances=instances), deadline, {}) as platform:
        return smoke_test(platform, compiled(*contracts), deadline).verdicts


def test_every_edge_of_every_site_is_asked_for_the_path_by_the_routes_host() -> None:
    with scripted(Says(body="fine")) as first, scripted(Says()) as second, scripted(Says()) as third:
        (verdict,) = smoked(shop(), eu=[first.port, second.port], dc1=[third.port])

        assert verdict.good
        assert verdict.says == "http://shop.example.org/shop/ok answers 200 at 3 edges"
        for edge in (first, second, third):
            assert [(one.method, one.path, one.headers["host"]) for one in edge.asked] == [
                ("GET", "/shop/ok", "shop.example.org")
            ]


def test_an_edge_that_takes_the_route_over_a_moment_later_is_asked_again() -> None:
    with scripted(Says(503, NOBODY), Says(404, "not yet"), Says()) as edge:
        (verdict,) = smoked(shop(), eu=[edge.port])
        assert not verdict.good, "404 is the application's own word"

    with scripted(Says(503, NOBODY), Says(503, NOBODY), Says()) as edge:
        (verdict,) = smoked(shop(), eu=[edge.port])

        assert verdict.good and verdict.says.endswith("at 1 edge")
        assert len(edge.asked) == 3


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (Says(503, NOBODY), "503 'no application is routed here yet'"),
        (Says(500, {"message": "no database"}), "500 no database"),
        (Says(404, "<html><title>lost</title></html>"), "404 a web page 'lost'"),
        (Says(204, ""), "204 where 200 is expected"),
        (Says(302, "", {"Location": "http://login.example.net/"}), "a redirect to 'login.example.net'"),
        (Says(body="fine, or not", half=4), "the answer broke off"),
        (Says(silent=True), "it closed the connection without an answer"),
    ],
)
def test_an_edge_that_says_no_is_named_with_what_it_said(says: Says, words: str) -> None:
    clock = Jumps()
    with scripted(Says()) as good, scripted(says) as bad:
        (verdict,) = smoked(shop(), clock=clock.clock, eu=[good.port, bad.port])

    assert not verdict.good
    assert verdict.says.startswith(f"http://shop.example.org/shop/ok at edge-2: {words}"), verdict.says
    assert verdict.try_next == "clustermesos explain shop"
    assert clock.time - 1000.0 <= ASK_SECONDS + 1, "an edge has its own bound"


def test_an_edge_that_is_dead_is_named() -> None:
    (verdict,) = smoked(shop(), eu=[free_port()])

    assert not verdict.good
    assert "at edge-1: connection refused" in verdict.says


@pytest.fixture
def slow() -> Iterator[tuple[int, threading.Event]]:
    ends = threading.Event()

    def answer(_: Asked) -> Says:
        ends.wait(60)
        return Says()

    with scripted(answer) as edge:
        yield edge.port, ends
        ends.set()


@pytest.mark.slow
def test_an_edge_that_says_nothing_is_named_when_its_time_is_over(slow: tuple[int, threading.Event]) -> None:
    port, ends = slow
    (verdict,) = smoked(shop(), clock=REAL, seconds=1.0, eu=[port])
    ends.set()

    assert not verdict.good
    assert "at edge-1: no answer within 1 s" in verdict.says


def test_what_names_no_path_is_not_asked_and_where_there_is_no_edge_nobody_is() -> None:
    with scripted(Says()) as edge:
        assert smoked(shop(smoke=None), contract("batch"), eu=[edge.port]) == ()
        assert edge.asked == []
    assert smoked(shop()) == ()
