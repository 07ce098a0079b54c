"""One HTTP client for the platform's APIs: bounded, patient with what heals, honest about what doesn't.

A request is tried again, at the next of the program's instances, while nobody answers, an answer breaks off
or is no JSON, or says 429, 502, 503 or 504, and a few times after 500; waits grow exponentially with full
jitter. A redirect is followed only to addresses that the cluster has, with method, body and the credentials
of that address. No proxy and no .netrc of the machine is used: an address in a tunnel is nobody else's.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from requests.auth import HTTPBasicAuth

from constructs_lib.hooks.answers import TroubleError, refusal, what
from constructs_lib.hooks.api_error import NO_TIME, ApiError
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.patience import Patience, Wait
from constructs_lib.hooks.unix_adapter import UnixAdapter

Method = Literal["GET", "PUT", "POST", "DELETE"]
REQUEST_SECONDS: Final = 20.0
"""What one request may take from connecting to its last byte."""
_LARGEST_ANSWER = 256 * 2**20
_MOST_REDIRECTS = 4
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 8.0
_REDIRECTS = (301, 302, 303, 307, 308)
_TRIES_AT_500 = 3
"""A leader that is just coming up says so; but so does Marathon of a path that it does not have."""
_HEAL: Final = frozenset({"unreachable", "unavailable", "unreadable"})


@dataclass(frozen=True)
class Reply:
    """An answer with a status below 300; `body` is JSON, or text where the API gives text."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Target:
    """One API and where its instances are.

    `bases` are URLs such as http://127.0.0.1:40001 that all may be asked. `known` maps the `host:port` that
    the program itself calls its instances by to the base that leads there: redirects go nowhere else.
    """

    name: str
    bases: tuple[str, ...]
    known: Mapping[str, str] = field(default_factory=dict)
    sockets: Mapping[str, Path] = field(default_factory=dict)
    """`host:port` → the Unix socket that leads there, where it is not reached directly."""
    login: tuple[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Client:
    """Requests to one API within one deadline."""

    def __init__(
        self,
        target: Target,
        deadline: Deadline,
        *,
        rng: Callable[[], float] = random.random,
        request_seconds: float = REQUEST_SECONDS,
        patient: bool = True,
        patience: Patience | None = None,
    ) -> None:
        """`patience` bounds how long one request is tried again, where that is not the whole deadline."""
        self.target = target
        self.deadline = deadline
        self.requests = 0
        """How many were sent so far, tries and redirects among them."""
        self._rng = rng
        self._request_seconds = request_seconds
        # Not patient: whoever asks again and again wants to hear of the first trouble.
        self._patient = patient
        self._patience = patience or Patience()
        self._first = 0
        self._session = requests.Session()
        self._session.trust_env = False
        if target.sockets:
            self._session.mount("http://", UnixAdapter(target.sockets))

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def get(self, path: str, query: Sequence[tuple[str, str]] = (), *, text: bool = False) -> Reply:
        """`GET path?query`; ApiError."""
        return self.ask("GET", path, query, text=text)

    def ask(
        self,
        method: Method,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: object = None,
        *,
        text: bool = False,
        repeatable: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request until it is answered for good.

        `body` is sent as JSON, bytes as they are. A request that may have been carried out although its
        answer was lost is sent again only where `repeatable` says that twice is the same as once. Raises
        ApiError with the last trouble once the deadline or the patience is over, every instance having been
        asked once, or at once where trying again can't help.
        """
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        wait = Wait(self._patience, self.target.name, self.deadline)
        tries = 0
        while True:
            base = self.target.bases[(self._first + tries) % len(self.target.bases)]
            try:
                reply = self._follow(method, base, _with(path, query), content, text, headers or {})
            except TroubleError as trouble:
                tries += 1
                if self._worth_another(trouble, tries, repeatable):
                    wait.tell(trouble.said)
                    wait.bound.sleep(self._pause(tries, trouble.retry_after))
                    if not self._over(wait, tries):
                        continue
                raise self._error(method, path, trouble, tries, wait) from None
            else:
                self._first = (self._first + tries) % len(self.target.bases)
                self._patience.answered(self.target.name)
                return reply

    def _worth_another(self, trouble: TroubleError, tries: int, repeatable: bool) -> bool:
        if self.deadline.over or not self._patient or (trouble.maybe_done and not repeatable):
            return False
        return trouble.kind in _HEAL or (trouble.status == 500 and tries < _TRIES_AT_500)

    def _over(self, wait: Wait, tries: int) -> bool:
        # One that accepts and stays silent takes all of the patience: the next one may answer all the same.
        return self.deadline.over or (wait.bound.over and tries >= len(self.target.bases))

    def _pause(self, tries: int, retry_after: float | None) -> float:
        # The first round over all instances is without a wait: one that is down says nothing of the next.
        if tries < len(self.target.bases) and retry_after is None:
            return 0.0
        doubled: float = _FIRST_WAIT * 2.0 ** min(tries, 16)
        asked = min(retry_after or 0.0, _LONGEST_WAIT * 4)
        return max(self._rng() * min(_LONGEST_WAIT, doubled), asked)

    def _error(self, method: Method, path: str, trouble: TroubleError, tries: int, wait: Wait) -> ApiError:
        said = trouble.said
        if self._patient and trouble.kind in _HEAL and wait.bound.over:
            until = "until the deadline" if self.deadline.over else f"in {wait.bound.seconds:.0f} s"
            said += f", and so it was {tries} times {until}" if tries > 1 else ""
            self._patience.give_up(self.target.name)
        return ApiError(
            trouble.kind,
            f"{self.target.name}: {method} {path}",
            said,
            status=trouble.status,
            details=trouble.details,
            deployments=trouble.deployments,
        )

    def _follow(
        self,
        method: Method,
        base: str,
        path: str,
        content: bytes | None,
        text: bool,
        headers: Mapping[str, str],
    ) -> Reply:
        for _ in range(_MOST_REDIRECTS):
            response, received = self._send(method, base + path, content, headers)
            if response.status_code not in _REDIRECTS:
                return _read(response, received, text)
            base, path = self._redirected(base + path, response.headers.get("Location", ""))
        # Instances that each take another one for the leader: an election is going on.
        raise TroubleError("unavailable", f"redirected {_MOST_REDIRECTS} times in a circle")

    def _redirected(self, url: str, location: str) -> tuple[str, str]:
        to = urlsplit(urljoin(url, location))
        bases = {urlsplit(base).netloc: base for base in self.target.bases}
        base = {**bases, **self.target.known}.get(to.netloc)
        if base is None or to.scheme not in ("http", "https"):
            raise TroubleError(
                "astray", f"a redirect to {to.netloc or location!r}, which the plan does not have"
            )
        return base, to.path + (f"?{to.query}" if to.query else "")

    def _send(
        self, method: Method, url: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[requests.Response, bytes]:
        self.requests += 1
        bound = self.deadline.within(min(self._request_seconds, self._patience.with_(self.target.name)))
        if bound.over:
            raise TroubleError("unreachable", NO_TIME)
        sent = {"Accept": "application/json, text/plain, */*", **self.target.headers, **headers}
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            response = self._session.request(
                method,
                url,
                data=content,
                headers=sent,
                auth=HTTPBasicAuth(*self.target.login) if self.target.login else None,
                timeout=(min(5.0, bound.seconds), bound.seconds),
                allow_redirects=False,
                stream=True,
            )
        except requests.ConnectTimeout:
            raise TroubleError("unreachable", "no answer to a connection") from None
        except requests.Timeout:
            raise TroubleError(
                "unreachable", f"no answer within {bound.seconds:.0f} s", maybe_done=True
            ) from None
        except requests.ConnectionError as error:
            raise TroubleError("unreachable", _why(error), maybe_done=not _never_sent(error)) from None
        except requests.RequestException as error:
            raise TroubleError("failed", f"{type(error).__name__}") from None
        with response:
            return response, _body(response, bound)


def _with(path: str, query: Sequence[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _body(response: requests.Response, bound: Deadline) -> bytes:
    """All of the answer; one that drips is cut off at the bound, since timeouts count from the last byte."""
    received = bytearray()
    try:
        for chunk in response.iter_content(64 * 1024):
            received += chunk
            if bound.over:
                raise TroubleError(
                    "unreachable", f"an answer that did not end within {bound.seconds:.0f} s", maybe_done=True
                )
            if len(received) > _LARGEST_ANSWER:
                raise TroubleError("failed", f"an answer of more than {_LARGEST_ANSWER >> 20} MiB")
    except requests.RequestException:
        raise TroubleError(
            "unreadable", f"the answer broke off after {len(received)} bytes", maybe_done=True
        ) from None
    return bytes(received)


def _read(response: requests.Response, received: bytes, text: bool) -> Reply:
    status = response.status_code
    if status >= 300:
        raise refusal(response, received)
    decoded = received.decode("utf-8", errors="replace")
    headers = {name.lower(): value for name, value in response.headers.items()}
    if text or not received:
        return Reply(status, decoded, headers)
    try:
        return Reply(status, json.loads(decoded), headers)
    except ValueError:
        raise TroubleError(
            "unreadable",
            f"{status} with {what(decoded)} where JSON is expected",
            status=status,
            maybe_done=True,
        ) from None


def _never_sent(error: requests.ConnectionError) -> bool:
    """Whether the connection was refused, so that nothing of the request can have arrived."""
    return "NewConnectionError" in repr(error) or "Connection refused" in str(error)


def _why(error: requests.ConnectionError) -> str:
    text = str(error)
    for sign, words in (
        ("Connection refused", "connection refused"),
        ("Name or service not known", "the name is not known"),
        ("No route to host", "no route to host"),
        ("Connection reset", "the connection was reset"),
        ("RemoteDisconnected", "it closed the connection without an answer"),
        ("SSL", "the TLS handshake failed"),
    ):
        if sign in text:
            return words
    return "the connection failed"
