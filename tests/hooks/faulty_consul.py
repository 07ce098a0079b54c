"""A proxy before a real Consul, with faults: what is asked and answered is Consul's own, but for those."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.hooks.consul_server import ConsulServer

What = Literal[
    "hangs up",
    "no leader",
    "loses the answer",
    "half an answer",
    "web page",
    "slow",
    "unauthorized",
    "forbidden",
    "not found",
    "conflict",
    "invalid",
    "overloaded",
]
SAYS: dict[str, tuple[int, bytes]] = {
    "no leader": (500, b"No cluster leader"),
    "web page": (502, b"<html><title>Bad Gateway</title></html>"),
    "unauthorized": (401, b"Unauthorized"),
    "forbidden": (403, b"Permission denied: token with AccessorID lacks permission 'key:write'"),
    "not found": (404, b"Invalid URL path: not a recognized HTTP API endpoint"),
    "conflict": (409, b"Conflict"),
    "invalid": (422, b"Unprocessable Entity"),
    "overloaded": (503, b"rate limit exceeded, try again later or against a different server"),
}
"""What is answered in Consul's place: some of it by Consul itself, all of it by what may stand before it."""
SLOW_SECONDS = 0.3
FOR_EVER = 10**9


@dataclass
class Fault:
    """`times` requests of a method and of paths with `path` in it are hit, after the first `after`."""

    what: What
    method: str = ""
    path: str = ""
    times: int = 1
    after: int = 0
    hit: int = 0

    def takes(self, method: str, path: str) -> bool:
        if self.method not in ("", method) or self.path not in path:
            return False
        if self.after:
            self.after -= 1
            return False
        if self.hit >= self.times:
            return False
        self.hit += 1
        return True


@dataclass
class FaultyConsul:
    """The proxy; `faults` are tried in order, and the first that takes a request decides."""

    behind: ConsulServer
    port: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def server(self) -> ConsulServer:
        """Where it answers, as any Consul."""
        return ConsulServer(self.port, self.behind.token, self.behind.datacenter)

    def of(self, method: str, path: str) -> What | None:
        return next((one.what for one in self.faults if one.takes(method, path)), None)


@contextmanager
def faulty(behind: ConsulServer) -> Iterator[FaultyConsul]:
    proxy = FaultyConsul(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            what = proxy.of(self.command, self.path)
            if what == "hangs up":
                self.close_connection = True
            elif what in SAYS:
                self._say(*SAYS[what])
            else:
                if what == "slow":
                    time.sleep(SLOW_SECONDS)
                self._forward(body, what)

        def _forward(self, body: bytes, what: What | None) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", behind.port, timeout=30)
            headers = {name: value for name, value in self.headers.items() if name != "Connection"}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
            connection.close()
            self.close_connection = what not in (None, "slow")
            if what == "loses the answer":
                return
            passed = ("X-Consul", "Content-Encoding")
            kept = {name: value for name, value in answer.getheaders() if name.startswith(passed)}
            self._say(answer.status, said, kept, half=what == "half an answer")

        def _say(
            self, status: int, body: bytes, headers: dict[str, str] | None = None, *, half: bool = False
        ) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if half else body)

        do_GET = do_PUT = do_DELETE = _pass  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
