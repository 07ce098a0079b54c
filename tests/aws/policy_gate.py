"""A gate before an S3: each request is held against an IAM policy first, as Amazon does it; moto holds none.

What isn't there is told to those alone who may list it: IAM is asked for `s3:ListBucket` then, with the
object's key as `s3:prefix`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Statement = Mapping[str, Any]
_OBJECT = {
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "PUT": "s3:PutObject",
    "DELETE": "s3:DeleteObject",
}
_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"


@dataclass(frozen=True)
class Asked:
    """What a request needs."""

    action: str
    resource: str
    prefix: str | None = None

    def allowed_by(self, policy: Sequence[Statement]) -> bool:
        """Whether a statement allows it and none denies it."""
        effects = {each["Effect"] for each in policy if self._meant_by(each)}
        return effects == {"Allow"}

    def _meant_by(self, statement: Statement) -> bool:
        resources = _list(statement["Resource"])
        prefix = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", "*")
        return (
            self.action in actions(statement)
            and any(fnmatchcase(self.resource, each) for each in resources)
            and (prefix == "*" or (self.prefix is not None and fnmatchcase(self.prefix, prefix)))
        )


@dataclass
class Gate:
    """`policy` may be changed at any time; `asked` and `denied` are what came."""

    port: int
    policy: Sequence[Statement]
    asked: list[Asked] = field(default_factory=list)
    denied: list[Asked] = field(default_factory=list)

    def lets(self, asked: Asked) -> bool:
        """Whether it goes on."""
        self.asked.append(asked)
        allowed = asked.allowed_by(self.policy)
        if not allowed:
            self.denied.append(asked)
        return allowed


def asked_by(method: str, url: str) -> Asked:
    """The right that a request needs; AssertionError for one that no statement here could be for."""
    address = urlsplit(url)
    bucket, _, key = unquote(address.path).removeprefix("/").partition("/")
    query = parse_qs(address.query, keep_blank_values=True)
    arn = f"arn:aws:s3:::{bucket}"
    if key and not query.keys() - {"x-id"}:
        return Asked(_OBJECT[method], f"{arn}/{key}")
    if not key and "location" in query:
        return Asked("s3:GetBucketLocation", arn)
    assert not key and method in ("GET", "HEAD"), f"{method} {url}"
    return Asked("s3:ListBucket", arn, query.get("prefix", [None])[0])


class _Handler(BaseHTTPRequestHandler):
    gate: Gate
    double: int

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = asked_by(self.command, self.path)
        if not self.gate.lets(asked):
            return self._say(403, {"Content-Type": "application/xml"}, _DENIED)
        there = HTTPConnection("127.0.0.1", self.double, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        there.request(self.command, self.path, body, headers)
        answer = there.getresponse()
        text = answer.read()
        key = asked.resource.partition("/")[2]
        listing = Asked("s3:ListBucket", asked.resource.partition("/")[0], key)
        if answer.status == 404 and key and not self.gate.lets(listing):
            return self._say(403, {"Content-Type": "application/xml"}, _DENIED)
        return self._say(answer.status, dict(answer.getheaders()), text)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _any  # noqa: N815 - the standard library names

    def _say(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        own = ("content-length", "transfer-encoding", "connection", "server", "date")
        for name, value in headers.items():
            if name.lower() not in own:
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def gate(double: int, policy: Sequence[Statement]) -> Iterator[Gate]:
    """A gate on a port of this machine before the double's."""
    found = Gate(0, policy)

    handler = type("Handler", (_Handler,), {"gate": found, "double": double})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    found.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def actions(statement: Statement) -> list[str]:
    """What a statement is about."""
    return _list(statement["Action"])


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
