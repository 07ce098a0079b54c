"""The double of OpenStack behind HTTP, on a port of this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.openstack.double import OpenstackDouble


@contextmanager
def running() -> Iterator[OpenstackDouble]:
    """A double on a free port of this machine."""
    double = OpenstackDouble()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self._chunks() if self.headers.get("Transfer-Encoding") else self.rfile.read(length)
            plain = self.headers.get("Content-Type") == "application/octet-stream"
            body = raw if plain else json.loads(raw or b"{}")
            path, _, query = self.path.partition("?")
            try:
                code, answer = double.answer(self.command, path.rstrip("/"), query, body)
            except Exception as error:  # the plugin's own error is then at hand, and not a cut connection
                code, answer = 500, {"error": f"{self.command} {self.path}: {error!r}"}
            text = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Subject-Token", "t")
            self.send_header("Content-Length", str(0 if code == 204 else len(text)))
            self.end_headers()
            if code != 204:
                self.wfile.write(text)

        def _chunks(self) -> bytes:
            """The body of a request whose length is not told."""
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = _do  # noqa: N815 - the standard library names

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what was asked is in the double."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
