"""Reads answers that say no, in the shapes that Marathon, Chronos, Mesos, Consul and proxies give them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import requests

from constructs_lib.hooks.api_error import Kind

_LONGEST_SAID = 300
_NO_LEADER = "No cluster leader"
_KINDS: Mapping[int, Kind] = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "missing",
    409: "locked",
    422: "invalid",
    429: "unavailable",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}


class TroubleError(Exception):
    """One try that did not succeed.

    Attributes:
        maybe_done: whether it may have been carried out all the same.
        retry_after: seconds that the server asks to wait.
    """

    def __init__(
        self,
        kind: Kind,
        said: str,
        *,
        status: int | None = None,
        maybe_done: bool = False,
        retry_after: float | None = None,
        details: tuple[str, ...] = (),
        deployments: tuple[str, ...] = (),
    ) -> None:
        super().__init__(said)
        self.kind = kind
        self.said = said
        self.status = status
        self.maybe_done = maybe_done
        self.retry_after = retry_after
        self.details = details
        self.deployments = deployments


def refusal(response: requests.Response, received: bytes) -> TroubleError:
    """The trouble that an answer with a status of 300 and more tells of."""
    status, decoded = response.status_code, received.decode("utf-8", errors="replace")
    try:
        body = json.loads(decoded)
    except ValueError:
        body = None
    said = (
        _one_line(str(body["message"])) if isinstance(body, dict) and body.get("message") else what(decoded)
    )
    # Consul's word while its servers elect one: nothing was done, and it passes by itself.
    electing = status == 500 and _NO_LEADER in decoded
    return TroubleError(
        "unavailable" if electing else _KINDS.get(status, "failed"),
        f"{status} {said}",
        status=status,
        maybe_done=status in (502, 504),
        retry_after=_seconds(response.headers.get("Retry-After")),
        details=_details(body),
        deployments=_deployments(body),
    )


def _details(body: Any) -> tuple[str, ...]:
    found = body.get("details") if isinstance(body, dict) else None
    if not isinstance(found, list):
        return ()
    entries = [one for one in found if isinstance(one, dict)]
    return tuple(
        f"{one.get('path') or '/'} {', '.join(str(text) for text in one.get('errors') or ())}"
        for one in entries
    )


def _deployments(body: Any) -> tuple[str, ...]:
    found = body.get("deployments") if isinstance(body, dict) else None
    return tuple(str(one["id"]) for one in found or () if isinstance(one, dict) and "id" in one)


def what(decoded: str) -> str:
    """What stands where JSON should be, in a few words: of a web page its title."""
    low = decoded.lower()
    if "<html" in low or "<!doctype" in low:
        start, end = low.find("<title>"), low.find("</title>")
        title = _one_line(decoded[start + 7 : end]) if 0 <= start < end else ""
        return f"a web page {title!r}" if title else "a web page"
    return repr(_one_line(decoded)) if decoded.strip() else "an empty answer"


def _one_line(text: str) -> str:
    """The first line: Chronos sends whole Java stack traces."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first if len(first) <= _LONGEST_SAID else first[:_LONGEST_SAID] + "…"


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.strip().isdigit() else None
