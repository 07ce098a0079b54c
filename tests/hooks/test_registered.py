"""Consul's entries by address and port."""

from __future__ import annotations

import time
from itertools import permutations
from typing import Any

import pytest

from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.registered import Registered, by_endpoint
from constructs_lib.simulator.web import ask
from tests.hooks.consul_server import ConsulServer


def entry(
    id: str, made: int, status: str, *, address: str = "127.0.0.2", port: int = 31000
) -> dict[str, Any]:
    return {
        "Node": {"Address": "127.0.0.9"},
        "Service": {"ID": id, "Address": address, "Port": 31000, "CreateIndex": made},
        "Checks": [{"Status": "passing"}, {"Status": status}],
    }


@pytest.mark.parametrize("stale", ["passing", "critical"])
@pytest.mark.parametrize("lives", ["passing", "critical"])
def test_an_entry_left_by_a_dead_task_says_nothing_of_the_one_that_has_its_port_now(
    stale: str, lives: str
) -> None:
    entries = [entry("dead", 9, stale), entry("now", 40, lives), entry("deader", 7, stale)]

    for order in permutations(entries):
        assert by_endpoint(order) == {("127.0.0.2", 31000): Registered(id="now", passing=lives == "passing")}


def test_without_an_address_of_its_own_a_service_is_at_its_node_s() -> None:
    assert list(by_endpoint([entry("one", 1, "passing", address="")])) == [("127.0.0.9", 31000)]


def test_a_real_consul_says_which_of_two_entries_at_one_port_was_made_last(consul_at: ConsulServer) -> None:
    headers = {"X-Consul-Token": consul_at.token}
    client = Client(Target(name="consul", bases=(consul_at.url,)), Deadline(30))
    consul = Consul(client, consul_at.token)

    def known() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = consul.health.service("one-port")[1]
        return found

    # The order of their names is not that of their making; the agent tells the catalog a little later.
    for number, id in enumerate(("b-dead", "a-now"), 1):
        body = {"ID": id, "Name": "one-port", "Address": "127.0.0.2", "Port": 31000}
        assert ask(f"{consul_at.url}/v1/agent/service/register", "PUT", body, headers)[0] == 200
        ends = time.monotonic() + 30
        while len(known()) < number:
            assert time.monotonic() < ends, known()
            time.sleep(0.02)
    found = by_endpoint(known())
    client.close()

    assert {one.id for one in found.values()} == {"a-now"}
