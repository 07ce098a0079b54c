"""consul-template with consul-template.json and routes.ctmpl, between a real Consul with ACLs and nginx."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.components.consul_here import Agent
from tests.components.edge_here import Edge, route


@pytest.fixture
def edge(server: Agent, acl: object, tmp_path: Path) -> Iterator[Edge]:
    edge = Edge(tmp_path, f"127.0.0.1:{server.ports['http']}", server.secret("edge"))
    edge.start()
    edge.start_template()
    yield edge
    edge.stop()


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as application:
        threading.Thread(target=application.serve_forever, args=(0.02,), daemon=True).start()
        yield application.server_address[1]
        application.shutdown()


def write(server: Agent, name: str, document: str) -> None:
    path = f"kv/clustermesos/routes/{name}"
    assert server.ask(path, server.secret("management"), "PUT", document.encode())[0] == 200


def register(server: Agent, id: str, port: int, version: str, status: str = "passing") -> None:
    body = {
        "ID": id,
        "Name": "shop",
        "Address": "127.0.0.1",
        "Port": port,
        "Tags": [f"version={version}"],
        "Check": {"TTL": "10m", "Status": status},
    }
    said = server.ask("agent/service/register", server.secret("service"), "PUT", json.dumps(body).encode())
    assert said[0] == 200, said


@pytest.mark.slow
def test_what_consul_has_is_what_the_edge_does(server: Agent, edge: Edge, port: int) -> None:
    register(server, "host:one:1", port, "v1")
    register(server, "host:sick:1", port, "v1", status="critical")
    write(server, "shop", route("shop", 1, {"v1": 100})["document"])
    # Neither of these is a route, and neither may harm the one that is.
    write(server, "broken", '{"service": "shop", "weights": [')
    write(server, "empty", "")

    edge.wait("the route", lambda: edge.get(edge.http, "/", "shop.example.org") == (200, "hello"))

    # It does first, and tells afterwards.
    edge.wait("its word", lambda: "shop" in edge.says()["routes"])
    told = edge.says()
    assert told["routes"]["shop"]["instances"] == {"host:one:1": f"127.0.0.1:{port}"}, "only what passes"
    assert set(told["problems"]) == {"broken", "empty"}

    write(server, "shop", route("shop", 2, {"v1": 100}, drain=["host:one:1"])["document"])
    edge.wait("the drain", lambda: edge.says()["routes"]["shop"]["generation"] == 2)
    edge.wait("older workers", lambda: edge.says()["older"] == 0)
    assert edge.get(edge.http, "/", "shop.example.org") == (503, "shop: no instance answers\n")

    assert server.ask("kv/clustermesos/routes?recurse", server.secret("management"), "DELETE")[0] == 200
    gone = (503, "no application is routed here yet\n")
    edge.wait("its end", lambda: edge.get(edge.http, "/", "shop.example.org") == gone)


@pytest.mark.slow
def test_the_edges_token_reads_routes_and_services_and_nothing_else(server: Agent, acl: object) -> None:
    token = server.secret("edge")
    write(server, "x", "{}")
    management = server.secret("management")
    assert server.ask("kv/clustermesos/deployments/x", management, "PUT", b"{}")[0] == 200

    assert server.ask("kv/clustermesos/routes/x", token)[0] == 200
    assert server.ask("health/service/consul", token)[0] == 200
    assert server.ask("kv/clustermesos/deployments/x", token)[0] == 403
    assert server.ask("kv/clustermesos/routes/x", token, "PUT", b"{}")[0] == 403
    assert server.ask("acl/tokens", token)[0] == 403
    assert server.ask("kv/clustermesos/routes/x", server.secret("names"))[0] == 403
