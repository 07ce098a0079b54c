"""What a client that keeps its connection to the edge sees of reloads, by the real nginx."""

from __future__ import annotations

import http.client
import http.server
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.components.edge_here import LONGEST, Edge, route

HOST = "shop.example.org"
RELOADS = 6


class Counting(http.server.BaseHTTPRequestHandler):
    """Answers every request, and remembers the orders that came."""

    protocol_version = "HTTP/1.1"
    orders: list[str]

    def do_GET(self) -> None:
        self._answer(b"shop")

    def do_POST(self) -> None:
        self.orders.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._answer(b"taken")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[tuple[int, list[str]]]:
    """The application's port, and its orders."""
    orders: list[str] = []
    handler = type("Shop", (Counting,), {"orders": orders})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1], orders
        server.shutdown()


@pytest.fixture
def edge(tmp_path: Path, shop: tuple[int, list[str]]) -> Iterator[Edge]:
    edge = Edge(tmp_path)
    edge.start()
    reload(edge, shop, 1)
    yield edge
    edge.stop()


def reload(edge: Edge, shop: tuple[int, list[str]], generation: int, *, settled: bool = True) -> None:
    """A new generation of the route, which is a reload."""
    done = edge.apply(route("shop", generation, {"v1": 100}, [("a", "v1", shop[0])]), settled=settled)
    assert done.returncode == 0, done.stderr


def connect(edge: Edge) -> socket.socket:
    return socket.create_connection(("127.0.0.1", edge.http), timeout=LONGEST)


def answer(peer: socket.socket) -> str:
    """The head and body of one answer."""
    received = b""
    while not received.endswith(b"\r\n\r\nshop"):
        more = peer.recv(4096)
        assert more, received
        received += more
    return received.decode()


def read(edge: Edge) -> int:
    """How many connections nginx has accepted and has read all from that came."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    own = [row for row in rows if row[1] == f"0100007F:{edge.http:04X}" and row[3] == "01"]
    return sum(row[4].endswith(":00000000") and row[9] != "0" for row in own)


ASKS = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


@pytest.mark.slow
def test_a_connection_that_rests_is_closed_cleanly_by_a_reload(
    edge: Edge, shop: tuple[int, list[str]]
) -> None:
    with connect(edge) as peer:
        for _ in range(2):
            peer.sendall(ASKS)
            said = answer(peer)
            assert "200 OK" in said and "Connection: close" not in said
        reload(edge, shop, 2)

        assert peer.recv(4096) == b"", "an end, and no reset"
    with connect(edge) as peer:
        peer.sendall(ASKS)
        assert "200 OK" in answer(peer)


@pytest.mark.slow
def test_a_request_that_was_begun_is_answered_whole_however_slowly_it_is_sent(
    edge: Edge, shop: tuple[int, list[str]]
) -> None:
    with connect(edge) as kept, connect(edge) as fresh:
        kept.sendall(ASKS)
        answer(kept)
        for peer in (kept, fresh):
            peer.sendall(ASKS[:10])
        edge.wait("both to be read", lambda: read(edge) == 2)
        reload(edge, shop, 2, settled=False)
        edge.wait("the new generation", lambda: edge.says()["routes"]["shop"]["generation"] == 2)
        for peer in (kept, fresh):
            peer.sendall(ASKS[10:])

            said = answer(peer)
            assert "200 OK" in said and "Connection: close" in said
            assert peer.recv(4096) == b""


@pytest.mark.slow
def test_a_client_that_asks_again_on_a_closed_connection_loses_nothing_and_repeats_nothing(
    edge: Edge, shop: tuple[int, list[str]]
) -> None:
    client = Client(edge.http)
    thread = threading.Thread(target=client.run)
    thread.start()
    try:
        for generation in range(2, 2 + RELOADS):
            before = len(client.taken)
            edge.wait("orders on a kept connection", partial(client.has, before + 4))
            reload(edge, shop, generation)
    finally:
        client.ends.set()
        thread.join(LONGEST)
        client.connection.close()

    assert client.troubles == []
    assert shop[1] == client.taken, "each order once, in order"
    assert client.opened <= 1 + RELOADS, "and between reloads one connection for all"


class Client:
    """Sends one order after the other on a connection that it keeps.

    Where it is closed before a byte of the answer came, the order goes again on a new one, once.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.taken: list[str] = []
        self.troubles: list[str] = []
        self.opened = 0
        self.ends = threading.Event()
        self.connection = self._open()

    def _open(self) -> http.client.HTTPConnection:
        self.opened += 1
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONGEST)

    def run(self) -> None:
        number = 0
        while not self.ends.wait(0.01):
            number += 1
            order = f"order {number}"
            try:
                try:
                    self._send(order)
                except (ConnectionError, http.client.RemoteDisconnected):
                    self.connection.close()
                    self.connection = self._open()
                    self._send(order)
            except (OSError, http.client.HTTPException) as error:
                self.troubles.append(repr(error))
            else:
                self.taken.append(order)

    def has(self, number: int) -> bool:
        return len(self.taken) >= number

    def _send(self, order: str) -> None:
        self.connection.request("POST", "/", order.encode(), {"Host": HOST})
        answer = self.connection.getresponse()
        if answer.read() != b"taken" or answer.status != 200:
            raise http.client.HTTPException(f"{answer.status}")
