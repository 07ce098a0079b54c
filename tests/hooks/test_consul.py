"""py-consul over our client, against a real Consul."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.http import Client, Target
from tests.hooks.consul_server import ConsulServer
from tests.hooks.scripted_server import Says, scripted


@pytest.fixture
def client(consul_at: ConsulServer) -> Iterator[Client]:
    client = Client(Target(name="consul", bases=(consul_at.url,)), Deadline(30))
    yield client
    client.close()


def test_a_key_is_written_read_and_deleted(client: Client, consul_at: ConsulServer) -> None:
    consul = Consul(client, consul_at.token)

    assert consul.kv.put("test/a key", "ä${}\n")
    index, entry = consul.kv.get("test/a key")
    assert (entry["Key"], entry["Value"].decode()) == ("test/a key", "ä${}\n")
    assert int(index) > 0
    assert consul.kv.delete("test/a key")
    assert consul.kv.get("test/a key")[1] is None


def test_compare_and_set_takes_one_of_two_writers(client: Client, consul_at: ConsulServer) -> None:
    consul = Consul(client, consul_at.token)

    assert consul.kv.put("test/lock", "one", cas=0)
    assert not consul.kv.put("test/lock", "two", cas=0)
    index = consul.kv.get("test/lock")[1]["ModifyIndex"]
    assert consul.kv.put("test/lock", "three", cas=index)
    consul.kv.delete("test/lock")


def test_all_below_a_prefix_is_one_request(client: Client, consul_at: ConsulServer) -> None:
    consul = Consul(client, consul_at.token)
    for number in range(3):
        consul.kv.put(f"test/many/{number}", str(number))
    before = client.requests

    _, entries = consul.kv.get("test/many/", recurse=True)

    assert [entry["Value"] for entry in entries] == [b"0", b"1", b"2"]
    assert client.requests == before + 1
    consul.kv.delete("test/many/", recurse=True)


def test_members_are_asked_for_with_the_token(client: Client, consul_at: ConsulServer) -> None:
    assert [member["Status"] for member in Consul(client, consul_at.token).agent.members()] == [1]
    assert Consul(client).agent.members() == []


def test_a_token_that_consul_does_not_know_is_one_line_without_the_token(client: Client) -> None:
    with pytest.raises(ApiError) as caught:
        Consul(client, "11111111-2222-4333-8444-555555555555").kv.put("test/x", "y")

    assert caught.value.kind == "forbidden"
    assert "11111111" not in str(caught.value)


def test_the_token_that_is_given_counts_and_not_that_of_the_environment(
    client: Client, consul_at: ConsulServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "another-clusters")
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "https://another.example.org:1")

    assert Consul(client, consul_at.token).status.leader()


def test_what_is_no_consul_is_told(tmp_path: object) -> None:
    with scripted(Says(200, "<html><title>Login</title>")) as server, pytest.raises(ApiError) as caught:
        Consul(Client(Target(name="consul", bases=(server.url,)), Deadline(1)), "t").status.leader()

    assert "Consul: GET /v1/status/leader" in str(caught.value)


def test_a_compare_and_set_whose_answer_was_lost_is_not_sent_again() -> None:
    with scripted(Says(silent=True)) as server, pytest.raises(ApiError):
        Consul(Client(Target(name="consul", bases=(server.url,)), Deadline(20)), "t").kv.put("k", "v", cas=1)

    assert len(server.asked) == 1
