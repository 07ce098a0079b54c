"""The edge's nginx and its two scripts, run for real; only ports and folders are rewritten."""

from __future__ import annotations

import dataclasses
import http.client
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.components.edge_here import Edge, route
from tests.nodes.clusters import site


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = Edge(tmp_path)
    edge.start()
    yield edge
    edge.stop()


class Application(http.server.BaseHTTPRequestHandler):
    """Says its name; POST to /dies is accepted, counted and never answered; /slow waits for `go`."""

    name = ""
    posts = 0
    go = threading.Event()
    asked = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/ws":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.close_connection = True
            return
        if self.path == "/slow":
            self.asked.set()
            self.go.wait(60)
        body = json.dumps({"name": self.name, "host": self.headers["Host"], "path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        type(self).posts += 1
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def applications() -> Iterator[Any]:
    """Starts servers by name; gives their ports."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(name: str) -> tuple[int, type[Application]]:
        handler = type(
            name, (Application,), {"name": name, "go": threading.Event(), "asked": threading.Event()}
        )
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return server.server_address[1], handler

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    done = subprocess.run(Edge(tmp_path).command("-t"), capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_visitors_are_told_that_nothing_is_routed_yet_whatever_they_ask_for(edge: Edge) -> None:
    for path in ("/", "/healthz", "/any/thing"):
        assert edge.get(edge.http, path) == (503, "no application is routed here yet\n")


def test_the_load_balancer_gets_an_answer_and_nothing_else(edge: Edge) -> None:
    assert edge.get(edge.health, "/healthz") == (200, "ok\n")
    assert edge.get(edge.health, "/")[0] == 404


def test_behind_a_balancer_that_hides_them_visitors_are_who_it_says(tmp_path: Path) -> None:
    planned = site("whole")
    assert planned.edge_spec
    balanced = planned.edge_spec.model_copy(update={"load_balancer": True})
    edge = Edge(tmp_path, planned=dataclasses.replace(planned, edge_spec=balanced))
    text = edge.conf.read_text()
    for zone in planned.zones:
        assert f"set_real_ip_from {zone.frontend};" in text
    edge.conf.write_text(text.replace(str(planned.zones[0].frontend), "127.0.0.1"))
    edge.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", edge.http, timeout=60)
        # What a visitor claims stands before what the balancer has seen.
        connection.request("GET", "/", headers={"X-Forwarded-For": "192.0.2.6, 203.0.113.9"})
        connection.getresponse().read()
        connection.close()
    finally:
        edge.stop()

    (line,) = (tmp_path / "access.log").read_text().splitlines()
    assert json.loads(line)["client"] == "203.0.113.9"


def test_without_one_nobody_can_say_to_be_somebody_else(tmp_path: Path) -> None:
    assert "real_ip" not in Edge(tmp_path).conf.read_text()


@pytest.mark.slow
def test_a_route_leads_to_its_instances_by_the_share_of_their_versions(edge: Edge, applications: Any) -> None:
    (old, _), (new, _), (also_old, _) = (applications(name) for name in ("old", "new", "old"))
    instances = [("a", "0ld", old), ("b", "0ld", also_old), ("c", "new1", new)]

    done = edge.apply(route("shop", 3, {"0ld": 75, "new1": 25}, instances))

    assert (done.returncode, done.stderr) == (0, "")
    seen = Counter(json.loads(edge.get(edge.http, "/x", "shop.example.org")[1])["name"] for _ in range(400))
    assert 50 < seen["new"] < 150 and seen.total() == 400
    assert edge.get(edge.http, "/", "other.example.org") == (503, "no application is routed here yet\n")
    told = edge.says()
    assert told["ok"] and told["problems"] == {}
    assert told["routes"]["shop"] == {
        "generation": 3,
        "instances": {"a": f"127.0.0.1:{old}", "b": f"127.0.0.1:{also_old}", "c": f"127.0.0.1:{new}"},
        "older": 0,
        "connections": 0,
    }


def test_requests_are_counted_by_route_version_and_status_and_logged(edge: Edge, applications: Any) -> None:
    port, _ = applications("one")
    edge.apply(route("shop", 1, {"v1": 1}, [("a", "v1", port)]), route("empty", 1, {"v1": 1}))

    for _ in range(3):
        edge.get(edge.http, "/?q=\"'", "shop.example.org")
    assert edge.get(edge.http, "/", "empty.example.org") == (503, "empty: no instance answers\n")
    edge.get(edge.http, "/", "nobody.example.org")

    edge.wait("all", lambda: counted(edge) == 4)
    metrics = edge.get(edge.state, "/metrics")[1]
    assert 'edge_requests_total{route="shop",version="v1",status="200"} 3\n' in metrics
    assert 'edge_requests_total{route="empty",version="none",status="503"} 1\n' in metrics
    assert 'edge_request_seconds_bucket{route="shop",version="v1",le="+Inf"} 3\n' in metrics
    assert "nobody" not in metrics and 'route=""' not in metrics
    lines = [json.loads(line) for line in (edge.folder / "access.log").read_text().splitlines()]
    # Each worker logs what it answered, after it did.
    assert sorted((line["route"], line["version"], line["status"]) for line in lines) == [
        ("", "", 503),
        ("empty", "none", 503),
        *[("shop", "v1", 200)] * 3,
    ]


@pytest.mark.slow
def test_how_long_an_upgraded_connection_lasted_is_no_answers_time(edge: Edge, applications: Any) -> None:
    port, _ = applications("one")
    edge.apply(route("shop", 1, {"v1": 1}, [("a", "v1", port)]))

    with socket.create_connection(("127.0.0.1", edge.http), timeout=60) as visitor:
        words = "Host: shop.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade"
        visitor.sendall(f"GET /ws HTTP/1.1\r\n{words}\r\n\r\n".encode())
        assert b" 101 " in visitor.recv(4096)
        visitor.shutdown(socket.SHUT_WR)
        assert visitor.recv(4096) == b""
    edge.get(edge.http, "/", "shop.example.org")

    edge.wait("both", lambda: 'status="200"} 1\n' in edge.get(edge.state, "/metrics")[1])
    metrics = edge.get(edge.state, "/metrics")[1]
    assert 'edge_requests_total{route="shop",version="v1",status="101"} 1\n' in metrics
    assert 'edge_request_seconds_bucket{route="shop",version="v1",le="+Inf"} 1\n' in metrics
    assert 'edge_request_seconds_count{route="shop",version="v1"} 1\n' in metrics


def counted(edge: Edge) -> int:
    """Requests to all routes."""
    numbers = re.findall(r"^edge_requests_total\{.*\} (\d+)$", edge.get(edge.state, "/metrics")[1], re.M)
    return sum(map(int, numbers))


@pytest.mark.slow
def test_once_edge_state_started_anew_only_what_follows_is_counted(edge: Edge, applications: Any) -> None:
    port, _ = applications("one")
    edge.apply(route("shop", 1, {"v1": 1}, [("a", "v1", port)]))
    assert edge.get(edge.http, "/", "shop.example.org")[0] == 200
    edge.wait("the one", lambda: counted(edge) == 1)
    edge.processes["edge-state"].kill()
    edge.processes.pop("edge-state").wait(timeout=60)
    edge.start_state()

    for _ in range(40):
        assert edge.get(edge.http, "/", "shop.example.org")[0] == 200

    edge.wait("all", lambda: counted(edge) >= 40)
    assert counted(edge) == 40


@pytest.mark.slow
def test_while_edge_state_stands_still_no_request_goes_uncounted(edge: Edge, applications: Any) -> None:
    port, _ = applications("one")
    edge.apply(route("shop", 1, {"v1": 1}, [("a", "v1", port)]))
    edge.processes["edge-state"].send_signal(signal.SIGSTOP)
    # More than any socket's queue holds: 10 here, 512 on a node.
    for _ in range(600):
        assert edge.get(edge.http, "/", "shop.example.org")[0] == 200
    edge.processes["edge-state"].send_signal(signal.SIGCONT)

    edge.wait("all", lambda: counted(edge) >= 600)
    assert counted(edge) == 600


@pytest.mark.slow
@pytest.mark.parametrize("way", ["moved away", "cut"])
def test_requests_are_counted_on_while_the_log_is_rotated(edge: Edge, applications: Any, way: str) -> None:
    port, _ = applications("one")
    edge.apply(route("shop", 1, {"v1": 1}, [("a", "v1", port)]))
    log = edge.folder / "access.log"

    def ask(times: int) -> None:
        before = counted(edge)
        for _ in range(times):
            assert edge.get(edge.http, "/", "shop.example.org")[0] == 200
        edge.wait("all", lambda: counted(edge) == before + times)

    ask(50)
    if way == "cut":
        os.truncate(log, 0)
    else:
        # As logrotate does; nginx goes on to write into the old one until it is told.
        log.rename(edge.folder / "access.log.1")
        log.touch()
        ask(5)
        ask(5)
        edge.processes["nginx"].send_signal(signal.SIGUSR1)
    ask(5)
    assert log.read_text().count("\n") == 5


def test_two_routes_share_a_host_by_their_paths(edge: Edge, applications: Any) -> None:
    (one, _), (two, _) = applications("one"), applications("two")
    both = {"host": "www.example.org"}
    edge.apply(
        route("shop", 1, {"v1": 1}, [("a", "v1", one)], **both),
        route("api", 1, {"v1": 1}, [("b", "v1", two)], path="/api", **both),
    )

    names = {
        path: json.loads(edge.get(edge.http, path, "www.example.org")[1])
        for path in ("/", "/api", "/api/x", "/apix")
    }

    assert {path: got["name"] for path, got in names.items()} == {
        "/": "one",
        "/api": "two",
        "/api/x": "two",
        "/apix": "one",
    }
    assert all(got["path"] == path and got["host"] == "www.example.org" for path, got in names.items())


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "space": ({"host": "a b"}, "host is 'a b'"),
    "code": ({"host": "x; return 200"}, "host is 'x; return 200'"),
    "brace": ({"path": "/{"}, "path is '/{'"),
    "twin": ({"host": "good.example.org"}, "good has good.example.org/ already"),
    "minus": ({"weights": {"v1": -1}}, "weight of v1 is -1"),
    "true": ({"weights": {"v1": True}}, "weight of v1 is True"),
    "seven": ({"weights": 7}, "its document is no route"),
    "word": ({"generation": "x"}, "generation is 'x'"),
    "long": ({"host": "h" * 250}, "server_names_hash"),
    "star": ({"path": "/*"}, "path is"),
}


def test_a_bad_route_keeps_what_it_had_and_harms_no_other(edge: Edge, applications: Any) -> None:
    port, _ = applications("one")
    instances = [("a", "v1", port)]
    edge.apply(*(route(name, 1, {"v1": 1}, instances) for name in ("good", *BAD)))
    base: dict[str, Any] = {"generation": 2, "weights": {"v1": 1}, "instances": instances}
    bad = (route(name, **(base | wrong)) for name, (wrong, _) in BAD.items())

    done = edge.apply(route("good", **base), *bad)

    assert done.returncode == 0
    told = edge.says()
    assert {name: one["generation"] for name, one in told["routes"].items()} == {
        **dict.fromkeys(BAD, 1),
        "good": 2,
    }
    for name, (_, said) in BAD.items():
        assert said in told["problems"][name] and said in done.stderr
    for name in ("good", *BAD):
        assert edge.get(edge.http, "/", f"{name}.example.org")[0] == 200


def test_what_only_nginx_refuses_is_left_out_alone(edge: Edge, applications: Any) -> None:
    port, _ = applications("one")
    instances = [("a", "v1", port)]
    edge.apply(route("good", 1, {"v1": 1}, instances))
    # An address that has the right letters, and that nobody can resolve.
    unknown = route("wrong", 1, {"v1": 1}, instances)
    unknown["instances"][0]["address"] = "no-such-host.invalid"

    done = edge.apply(route("good", 2, {"v1": 1}, instances), unknown)

    assert done.returncode == 0
    told = edge.says()
    assert list(told["routes"]) == ["good"] and told["routes"]["good"]["generation"] == 2
    assert "host not found in upstream" in told["problems"]["wrong"]


@pytest.mark.slow
def test_a_worker_that_still_answers_from_before_is_told_until_it_is_done(
    edge: Edge, applications: Any
) -> None:
    port, handler = applications("slow")
    instances = [("a", "v1", port)]
    other = route("other", 1, {"v1": 1}, instances)
    elsewhere = [("b", "v1", applications("idle")[0])]
    edge.apply(route("shop", 1, {"v1": 1}, instances), other, route("idle", 1, {"v1": 1}, elsewhere))
    with socket.create_connection(("127.0.0.1", edge.http)) as visitor:
        visitor.sendall(b"GET /slow HTTP/1.1\r\nHost: shop.example.org\r\nConnection: close\r\n\r\n")
        assert handler.asked.wait(60)

        drained = route("shop", 2, {"v1": 1}, instances, drain=["a"])
        edge.apply(drained, other, route("idle", 2, {"v1": 1}, elsewhere), settled=False)

        edge.wait("the older worker", lambda: edge.says()["routes"]["shop"]["older"] >= 1)
        told = edge.says()["routes"]
        assert told["shop"]["generation"] == 2 and told["shop"]["connections"] == 1
        assert told["other"]["older"] == 0, "its generation is what that worker has"
        assert told["idle"]["older"] >= 1 and told["idle"]["connections"] == 0, "nobody is at its instance"
        handler.go.set()
        assert b"200 OK" in visitor.recv(4096)
    edge.wait("its end", lambda: edge.says()["routes"]["shop"]["older"] == 0)


def test_a_post_that_was_sent_is_never_repeated(edge: Edge, applications: Any) -> None:
    (one, first), (two, second) = applications("one"), applications("two")
    edge.apply(route("shop", 1, {"v1": 1}, [("a", "v1", one), ("b", "v1", two)]))

    assert edge.get(edge.http, "/dies", "shop.example.org", "POST")[0] == 502

    assert first.posts + second.posts == 1


def test_a_get_goes_to_another_instance_where_one_is_gone(edge: Edge, applications: Any) -> None:
    port, _ = applications("one")
    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))
        dead = gone.getsockname()[1]
    edge.apply(route("shop", 1, {"v1": 1}, [("a", "v1", port), ("b", "v1", dead)]))

    assert {edge.get(edge.http, "/", "shop.example.org")[0] for _ in range(6)} == {200}


def test_nginx_that_starts_anew_has_the_last_good_routes(edge: Edge, applications: Any) -> None:
    port, _ = applications("one")
    edge.apply(route("shop", 4, {"v1": 1}, [("a", "v1", port)]))
    edge.apply(route("shop", 5, {"v1": 1}, [("a", "v1", port)], host="bad host"))
    edge.stop()

    edge.start()

    assert edge.get(edge.http, "/", "shop.example.org")[0] == 200
    assert edge.says()["routes"]["shop"]["generation"] == 4


def test_old_workers_end_by_themselves_in_the_end() -> None:
    text = (Path(__file__).parents[2] / "cloud-init/nginx/nginx.conf.j2").read_text()

    assert re.search(r"(?m)^worker_shutdown_timeout \d+s;$", text)
