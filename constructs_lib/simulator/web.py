"""The HTTP side of a double: routes, basic authentication, and a Server header that names it a double."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from urllib.request import HTTPErrorProcessor, ProxyHandler, Request, build_opener

from constructs_lib.simulator.credentials import is_known
from constructs_lib.simulator.double import RefusedError, server_header

_LARGEST_BODY = 16 * 2**20


@dataclass(frozen=True)
class Question:
    """One request: `path` without the query, `query` with the first value of each name."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    headers: Mapping[str, str]
    raw: str
    """Path and query as they came."""

    def json(self) -> Any:
        """The body as JSON; ValueError when it is none."""
        return json.loads(self.body)

    def values(self, name: str) -> list[str]:
        """All values of a name in the query, in their order."""
        return parse_qs(urlsplit(self.raw).query, keep_blank_values=True).get(name, [])

    def login(self) -> tuple[str, str] | None:
        """User and password of basic authentication, or None."""
        kind, _, encoded = self.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            return None
        return (user, password) if colon else None


@dataclass(frozen=True)
class Answer:
    """A response; `body` is text as it is, or anything else as JSON."""

    status: int = 200
    body: object = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str | None = None
    """The Content-Type, where it is not JSON or plain text."""
    cut: int | None = None
    """Close the connection after so many bytes of the body, -1: before the status; a fault that is wanted."""
    stream: Iterator[bytes] | None = None
    """Sent piece by piece instead of `body`, until it ends or nobody listens."""


Answering = Callable[[Question], Answer]


def unauthorized(realm: str) -> Answer:
    """Ask for basic authentication."""
    return Answer(401, "Unauthorized", {"WWW-Authenticate": f'Basic realm="{realm}"'})


def may(question: Question, credentials: Mapping[str, str]) -> bool:
    """Whether the request has a known principal and its secret."""
    login = question.login()
    return login is not None and is_known(credentials, *login)


def login_guard(credentials: str | None, realm: str) -> Callable[[Question], Answer | None]:
    """Asks for `user:password` on every path, `/ping` included, once there are `--http_credentials`."""
    if credentials is None:
        return lambda _question: None
    wanted = base64.b64encode(credentials.encode()).decode()

    def guard(question: Question) -> Answer | None:
        given = question.headers.get("authorization", "").removeprefix("Basic ")
        return None if given == wanted else unauthorized(realm)

    return guard


class Web:
    """An HTTP server in threads of its own; `answer` gets every request.

    Raises:
        RefusedError: with `code`, when the address or port can't be had.
    """

    def __init__(
        self,
        program: str,
        host: str,
        port: int,
        answer: Answering,
        log: Callable[[str, str], None],
        code: int = 1,
        server: str | None = None,
    ) -> None:
        settings = {
            "answering": staticmethod(answer),
            "named": server or server_header(program),
            "log": staticmethod(log),
        }
        handler = type("Handler", (_Handler,), settings)
        try:
            self._server = _Server((host, port), handler)
        except OSError as error:
            raise RefusedError(f"Failed to bind on {host}:{port}: {error.strerror}", code) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="web", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more and close the port."""
        end_serving(self._server, self._thread)


def end_serving(server: TCPServer, thread: threading.Thread) -> None:
    """End a server whose `serve_forever` runs in `thread`, without waiting for its poll."""
    if thread.is_alive():
        ending = threading.Thread(target=server.shutdown, daemon=True)
        ending.start()
        # Wakes it up, where the system lets a listening socket be shut down.
        with contextlib.suppress(OSError):
            server.socket.shutdown(socket.SHUT_RDWR)
        ending.join()
    server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    # A short answer in two pieces would wait for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    answering: Answering
    named: str
    log: Callable[[str, str], None]

    def version_string(self) -> str:
        return self.named

    def log_message(self, format: str, *args: object) -> None:
        """Not every request; what matters is logged where it happens."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_BODY:
            return self._send(Answer(413, "Request body is too large"))
        question = Question(
            method=self.command,
            path=unquote(url.path),
            query={name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()},
            body=self.rfile.read(length),
            headers={name.lower(): value for name, value in self.headers.items()},
            raw=self.path,
        )
        try:
            answer = type(self).answering(question)
        except Exception as error:  # the program goes on and its client hears of it, as with the real ones
            type(self).log(f"{self.command} {url.path}: {type(error).__name__}: {error}", "E")
            answer = Answer(500, "Internal Server Error")
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        if answer.stream is not None:
            return self._pour(answer, answer.stream)
        if answer.cut == -1:
            self.close_connection = True
            return None
        text = isinstance(answer.body, str)
        body = str(answer.body).encode() if text else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        kind = answer.kind or ("text/plain;charset=utf-8" if text else "application/json")
        for name, value in {"Content-Type": kind, **answer.headers}.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if answer.cut is not None:
            self.close_connection = True
            body = body[: answer.cut]
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(body)
        return None

    def _pour(self, answer: Answer, stream: Iterator[bytes]) -> None:
        self.close_connection = True
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind or "application/octet-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in stream:
            self.wfile.write(piece)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815 — the standard library's names


class _NoErrors(HTTPErrorProcessor):
    def http_response(self, request: Request, response: Any) -> Any:
        """Every status is an answer, redirects too."""
        return response

    https_response = http_response


_OPENER = build_opener(ProxyHandler({}), _NoErrors)


def ask(
    url: str,
    method: str = "GET",
    body: object = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 5,
) -> tuple[int, Any]:
    """Status and body (JSON where it is JSON, else text) of a request; OSError when nobody answers."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(  # noqa: S310 — the doubles make the URLs
        url, data, {"Content-Type": "application/json", **(headers or {})}, method=method
    )
    try:
        with _OPENER.open(request, timeout=timeout) as response:
            text = response.read()
            as_json = text and _is_json(response)
            return response.status, json.loads(text) if as_json else text.decode(errors="replace")
    except (HTTPException, ValueError) as error:
        raise OSError(f"{url} answered no HTTP or no JSON: {error}") from None


def forward(url: str, question: Question, headers: Mapping[str, str]) -> Answer:
    """Send a request on as it is and give the answer as it is; OSError when nobody answers."""
    request = Request(url, question.body or None, dict(headers), method=question.method)  # noqa: S310 — as above
    try:
        with _OPENER.open(request, timeout=10) as response:
            kind = response.headers.get("Content-Type")
            kept = {name: value for name, value in response.headers.items() if name in _FORWARDED}
            return Answer(response.status, response.read().decode(errors="replace"), kept, kind)
    except (HTTPException, ValueError) as error:
        raise OSError(f"{url} answered no HTTP: {error}") from None


_FORWARDED = ("Marathon-Deployment-Id", "WWW-Authenticate", "Location")


def _is_json(response: Any) -> bool:
    return str(response.headers.get("Content-Type", "")).startswith("application/json")
