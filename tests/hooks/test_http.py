from __future__ import annotations

import base64
import socket
from collections.abc import Callable

import pytest

from constructs_lib.errors import HookError
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.patience import Patience
from tests.hooks.scripted_server import Asked, Jumps, Says, Scripted, scripted


def client(*servers: Scripted, seconds: float = 60, jumps: Jumps | None = None, **target: object) -> Client:
    clock = (jumps or Jumps()).clock
    bases = tuple(server.url for server in servers)
    return Client(Target(name="marathon", bases=bases, **target), Deadline(seconds, clock), rng=lambda: 1.0)  # type: ignore[arg-type]


def nobody() -> Scripted:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Scripted([], port=free.getsockname()[1])


def test_an_answer_is_json_with_its_status_and_headers() -> None:
    with scripted(Says(201, {"a": [1]}, {"Marathon-Deployment-Id": "d1"})) as server:
        reply = client(server).ask("PUT", "/v2/apps/a", [("force", "false")], {"id": "/a"})

    assert (reply.status, reply.body, reply.headers["marathon-deployment-id"]) == (201, {"a": [1]}, "d1")
    assert [(one.method, one.path, one.body) for one in server.asked] == [
        ("PUT", "/v2/apps/a?force=false", b'{"id": "/a"}')
    ]


def test_credentials_go_with_each_request_and_into_no_error() -> None:
    login = ("ops", "hush-hush")
    with scripted(Says(401, "no")) as server, pytest.raises(ApiError) as caught:
        client(server, login=login, headers={"X-Consul-Token": "a-token"}).get("/v2/info")

    assert caught.value.kind == "unauthorized"
    assert base64.b64decode(server.asked[0].headers["authorization"].split()[1]) == b"ops:hush-hush"
    assert server.asked[0].headers["x-consul-token"] == "a-token"
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(client(server, login=login).target)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_overloaded_or_leaderless_program_is_asked_again(status: int) -> None:
    jumps = Jumps()
    with scripted(Says(status), Says(status), Says(200, {"ok": 1})) as server:
        assert client(server, jumps=jumps).get("/x").body == {"ok": 1}

    assert jumps.slept == [0.5, 1.0]


def test_waits_grow_up_to_a_bound_and_are_spread_by_chance() -> None:
    jumps = Jumps()
    with scripted(*[Says(503)] * 8, Says(200)) as server:
        client(server, jumps=jumps).get("/x")
    assert jumps.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]

    jumps = Jumps()
    with scripted(Says(503), Says(200)) as server:
        one = client(server, jumps=jumps)
        one._rng = lambda: 0.25
        one.get("/x")
    assert jumps.slept == [0.125]


def test_a_retry_after_is_honoured_up_to_a_bound() -> None:
    jumps = Jumps()
    with scripted(
        Says(503, headers={"Retry-After": "20"}), Says(503, headers={"Retry-After": "9999"}), Says()
    ) as s:
        client(s, jumps=jumps, seconds=600).get("/x")

    assert jumps.slept == [20.0, 32.0]


def test_the_next_instance_is_asked_at_once_where_one_does_not_answer() -> None:
    jumps = Jumps()
    with scripted(Says(200, {"from": "b"})) as server:
        one = client(nobody(), server, jumps=jumps)
        assert one.get("/x").body == {"from": "b"}
        one.get("/y")

    assert jumps.slept == []
    # The second request goes straight to the one that answered.
    assert one.requests == 3


def test_nobody_answering_ends_at_the_deadline_with_one_line() -> None:
    jumps = Jumps()
    with pytest.raises(ApiError) as caught:
        client(nobody(), jumps=jumps, seconds=30).get("/v2/info")

    assert caught.value.kind == "unreachable"
    assert isinstance(caught.value, HookError)
    assert str(caught.value).startswith("marathon: GET /v2/info: connection refused, and so it was ")
    assert "clustermesos status" in str(caught.value)
    assert sum(jumps.slept) <= 30.1


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (
            Says(200, "<html><head><title>Sign in</title></head>"),
            "200 with a web page 'Sign in' where JSON is",
        ),
        (Says(200, "pong"), "200 with 'pong' where JSON is expected"),
        (Says(200, '{"apps": ['), "where JSON is expected"),
        (Says(200, {"apps": list(range(1000))}, half=20), "the answer broke off after"),
        (Says(silent=True), "closed the connection without an answer"),
    ],
)
def test_what_is_no_json_is_asked_for_again_and_then_named(says: Says, words: str) -> None:
    with scripted(says, Says(200, {"fine": True})) as server:
        assert client(server).get("/x").body == {"fine": True}

    with scripted(says) as server, pytest.raises(ApiError) as caught:
        client(server, seconds=3).get("/x")
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_an_answer_that_drips_ends_with_its_bound() -> None:
    jumps = Jumps()

    def slow(_: Asked) -> Says:
        jumps.time += 25
        return Says(200, {"late": True})

    with scripted(slow, Says(200, {"in": "time"})) as server:
        assert client(server, jumps=jumps, seconds=120).get("/x").body == {"in": "time"}


def test_what_may_have_been_done_is_not_sent_twice_where_twice_is_not_once() -> None:
    with scripted(Says(silent=True)) as server, pytest.raises(ApiError):
        client(server).ask("POST", "/v2/tasks/delete", body={"ids": ["t"]}, repeatable=False)
    assert len(server.asked) == 1

    # Refused before anything was sent, or by a server that says that it did nothing: again.
    with scripted(Says(503), Says(200, {"done": 1})) as server:
        reply = client(nobody(), server).ask("POST", "/x", body={}, repeatable=False)
    assert reply.body == {"done": 1}
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid"), (401, "unauthorized"), (403, "forbidden"), (404, "missing"), (409, "locked")],
)
def test_a_no_that_asking_again_does_not_change_is_final(status: int, kind: str) -> None:
    with scripted(Says(status, {"message": "because"})) as server, pytest.raises(ApiError) as caught:
        client(server).get("/x")

    assert (caught.value.kind, caught.value.status, len(server.asked)) == (kind, status, 1)
    assert f"marathon: GET /x: {status} because" in str(caught.value)


def test_a_500_is_tried_three_times_since_it_may_be_a_leader_that_just_comes_up() -> None:
    with scripted(Says(500, {"message": "URI not found: /x"})) as server, pytest.raises(ApiError) as caught:
        client(server).get("/x")

    assert (caught.value.kind, len(server.asked)) == ("failed", 3)


def test_422_names_every_path_that_marathon_names() -> None:
    details = [{"path": "/id", "errors": ["is bad"]}, {"path": "/cpus", "errors": ["too low", "no number"]}]
    said = {"message": "Object is not valid", "details": details}
    with scripted(Says(422, said)) as server, pytest.raises(ApiError) as caught:
        client(server).ask("PUT", "/v2/apps/a", body={})

    assert str(caught.value) == (
        "marathon: PUT /v2/apps/a: 422 Object is not valid: /id is bad; /cpus too low, no number"
    )


def test_409_carries_the_deployments_that_hold_the_lock() -> None:
    said = {
        "message": "App is locked by one or more deployments.",
        "deployments": [{"id": "d1"}, {"id": "d2"}],
    }
    with scripted(Says(409, said)) as server, pytest.raises(ApiError) as caught:
        client(server).ask("PUT", "/v2/apps/a", body={})

    assert caught.value.deployments == ("d1", "d2")


def test_of_a_java_stack_trace_only_the_first_line_is_told() -> None:
    trace = (
        "java.lang.IllegalArgumentException: Cannot parse schedule 'x' (wtf bro)\n\tat org.apache\n\tat scala"
    )
    with (
        scripted(Says(400, {"status": "400", "message": trace})) as server,
        pytest.raises(ApiError) as caught,
    ):
        client(server).get("/x")

    assert "wtf bro" in str(caught.value)
    assert "scala" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_known_instance_keeps_method_body_and_login(status: int) -> None:
    with scripted(Says(200, {"leader": True})) as leader:

        def elsewhere(asked: Asked) -> Says:
            return Says(status, headers={"Location": f"http://10.20.0.4:8080{asked.path}"})

        with scripted(elsewhere) as other:
            one = client(other, known={"10.20.0.4:8080": leader.url}, login=("u", "p"))
            assert one.ask("PUT", "/v2/apps/a", [("force", "true")], {"cpus": 1}).body == {"leader": True}

    (asked,) = leader.asked
    assert (asked.method, asked.path, asked.body) == ("PUT", "/v2/apps/a?force=true", b'{"cpus": 1}')
    assert "authorization" in asked.headers


@pytest.mark.parametrize(
    "location", ["http://evil.example.org/v2/info", "https://10.9.9.9:8080/", "", "file:///etc/passwd"]
)
def test_a_redirect_out_of_the_cluster_is_not_followed(location: str) -> None:
    with scripted(Says(307, headers={"Location": location})) as server:
        problem = client(server, login=("u", "p"), seconds=5)
        with pytest.raises(ApiError) as caught:
            problem.get("/v2/info")

    if location:
        assert caught.value.kind == "astray"
        assert "which the plan does not have" in str(caught.value)
    assert "u" not in caught.value.said.split()


def test_instances_that_each_send_to_the_other_are_an_election_and_asked_again() -> None:
    calls: list[int] = []

    def circle(server: Callable[[], str]) -> Callable[[Asked], Says]:
        def answer(asked: Asked) -> Says:
            calls.append(1)
            if len(calls) > 6:
                return Says(200, {"elected": True})
            return Says(307, headers={"Location": server() + asked.path})

        return answer

    holder: list[Scripted] = []
    with scripted(circle(lambda: holder[1].url)) as a, scripted(circle(lambda: holder[0].url)) as b:
        holder += [a, b]
        assert client(a, b).get("/x").body == {"elected": True}


def test_proxies_and_netrc_of_the_machine_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login thief password loot\n")  # type: ignore[operator]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", f"{tmp_path}/.netrc")
    monkeypatch.setenv("http_proxy", nobody().url)
    with scripted(Says(200, {})) as server:
        client(server).get("/x")

    assert "authorization" not in server.asked[0].headers


def test_one_that_does_not_answer_is_given_up_with_the_patience_and_told_of_meanwhile() -> None:
    jumps, told = Jumps(), list[str]()
    one = Client(
        Target(name="marathon", bases=(nobody().url,)),
        Deadline(3600, jumps.clock),
        rng=lambda: 1.0,
        patience=Patience(90, told.append),
    )

    with pytest.raises(ApiError, match=r"connection refused, and so it was [0-9]+ times in 90 s"):
        one.get("/v2/apps")

    assert 90 <= jumps.time - 1000 < 91
    assert told == [f"waits for marathon: connection refused ({left} s left)" for left in (82, 50, 18)]
    began = jumps.time
    with pytest.raises(ApiError):
        one.get("/v2/queue")
    assert jumps.time - began < 3, "it is waited for once"


def test_without_a_patience_the_deadline_counts_and_is_told_of() -> None:
    jumps, told = Jumps(), list[str]()
    one = Client(
        Target(name="marathon", bases=(nobody().url,)),
        Deadline(300, jumps.clock),
        rng=lambda: 1.0,
        patience=Patience(say=told.append),
    )
    with one._patience.within(10), pytest.raises(ApiError):
        one.get("/v2/apps")

    with pytest.raises(ApiError, match="until the deadline"):
        one.get("/v2/apps")

    assert 300 <= jumps.time - 1000 < 301
    assert len(told) >= 300 / 40


def test_each_instance_is_asked_although_the_first_one_takes_all_of_the_patience() -> None:
    jumps = Jumps()

    def hangs(_: Asked) -> Says:
        jumps.time += 20
        return Says(503)

    with scripted(hangs) as first, scripted(Says(200, {"ok": 1})) as second:
        bases = (first.url, second.url)
        one = Client(Target(name="m", bases=bases), Deadline(3600, jumps.clock), patience=Patience(15))
        assert one.get("/x").body == {"ok": 1}
