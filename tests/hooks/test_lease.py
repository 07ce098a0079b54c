"""The lease over a real Consul: one has it, the other one is told who."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.lease import Lease
from constructs_lib.hooks.patience import Patience
from tests.hooks.faulty_consul import FOR_EVER, Fault, What, faulty
from tests.hooks.rolling_platform import Platform


@pytest.fixture
def store(platform: Platform) -> Consul:
    return platform.consul_client()


def test_one_has_it_until_it_lets_go(platform: Platform, store: Consul) -> None:
    first, second = (Lease(platform.name, seconds=10, who=who) for who in ("anna", "ben"))

    assert first.take(store) is None
    assert second.take(store) == "anna"
    assert first.take(store) is None, "the next round goes on having it"

    first.release(store)

    assert second.take(store) is None
    assert first.take(store) == "ben"
    second.release(store)


def test_what_is_lost_with_its_session_is_taken_by_the_next_one_that_comes(
    platform: Platform, store: Consul
) -> None:
    first, second = (Lease(platform.name, seconds=10, who=who) for who in ("anna", "ben"))
    first.take(store)
    [session] = [one["ID"] for one in store.session.list()[1] if platform.name in one["Name"]]
    # As the end of its time does, and its node's death.
    store.session.destroy(session)

    assert second.take(store) is None
    assert first.take(store) == "ben"
    second.release(store)


def test_it_outlives_the_server_that_made_it(platform: Platform, store: Consul) -> None:
    lease = Lease(platform.name, seconds=10)
    lease.take(store)
    [session] = [one for one in store.session.list()[1] if platform.name in one["Name"]]

    assert session["NodeChecks"] == [], "by default the end of a server's serfHealth is the session's"
    lease.release(store)


def test_whoever_is_refused_leaves_no_session_behind(platform: Platform, store: Consul) -> None:
    first, second = (Lease(platform.name, seconds=10) for _ in range(2))
    first.take(store)
    second.take(store)

    assert len([one for one in store.session.list()[1] if platform.name in one["Name"]]) == 1
    first.release(store)
    first.release(store)
    assert not [one for one in store.session.list()[1] if platform.name in one["Name"]]


def test_it_is_renewed_while_a_round_lasts(platform: Platform, store: Consul) -> None:
    lease = Lease(platform.name, seconds=10)
    lease.take(store)
    renewed = threading.Event()

    class Watched:
        class session:  # noqa: N801 — py-consul's name
            @staticmethod
            def renew(id: str) -> object:
                found: object = store.session.renew(id)
                renewed.set()
                return found

    another: Any = Watched()
    lease._seconds = 1
    with lease.kept(another):
        assert renewed.wait(30)

    lease.release(store)


def cut_off_while_it_takes_it_again(platform: Platform, store: Consul, what: What) -> Lease:
    """Its session ended, it has a new one, and nobody has answered that the key is this one's."""
    lease = Lease(platform.name, seconds=10, who="anna")
    lease.take(store)
    [session] = [one["ID"] for one in store.session.list()[1] if platform.name in one["Name"]]
    store.session.destroy(session)
    with faulty(platform.consul) as proxy:
        proxy.faults.append(Fault(what, method="PUT", path="acquire=", times=FOR_EVER))
        target = Target(name="consul", bases=(proxy.server.url,))
        impatient = Client(target, Deadline(60), patience=Patience(0.4, afterwards=0.1))
        with pytest.raises(ApiError):
            lease.again(Consul(impatient, platform.consul.token))
    return lease


@pytest.mark.parametrize("what", ["forbidden", "loses the answer"])
def test_a_session_without_its_key_is_not_taken_for_the_lease(
    platform: Platform, store: Consul, what: What
) -> None:
    lease = cut_off_while_it_takes_it_again(platform, store, what)

    assert lease.lost
    assert lease.again(store)

    assert not lease.lost
    assert Lease(platform.name, seconds=10).take(store) == "anna"
    lease.release(store)


def test_what_somebody_took_meanwhile_is_not_said_to_be_still_held(platform: Platform, store: Consul) -> None:
    lease = cut_off_while_it_takes_it_again(platform, store, "forbidden")
    other = Lease(platform.name, seconds=10, who="ben")
    assert other.take(store) is None

    assert not lease.again(store)

    assert lease.lost
    lease.release(store)
    assert Lease(platform.name, seconds=10).take(store) == "ben"
    other.release(store)
