"""Chronos' API: 3.x below /v1/scheduler/, 2.x below /scheduler/; which of them is found out by asking.

Source: `ChronosRestModule.scala`, `JobManagementResource.scala`. A non-leader redirects; an unknown job is
400 and not 404; a message may be a whole Java stack trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.http import Client

PREFIXES = ("/v1/scheduler/", "/scheduler/")
Job = Mapping[str, Any]
COUNTERS = ("successCount", "errorCount", "lastSuccess", "lastError", "errorsSinceLastSuccess")
"""What Chronos adds to a job as it runs."""


class Chronos:
    """Calls of one run; all raise ApiError."""

    def __init__(self, client: Client, prefix: str | None = None) -> None:
        self.client = client
        self._prefix = prefix

    @property
    def prefix(self) -> str:
        """Where its scheduler's paths begin."""
        if self._prefix is None:
            self._get("leader")
        return self._prefix or PREFIXES[0]

    def leader(self) -> str | None:
        """`host:port` of the leading instance, None while there is none."""
        found = self._get("leader")
        leader = found.get("leader") if isinstance(found, dict) else None
        return str(leader) if leader else None

    def jobs(self) -> tuple[Job, ...]:
        """All jobs."""
        found = self._get("jobs")
        if not isinstance(found, list):
            raise ApiError(
                "unreadable", "Chronos", f"got {type(found).__name__} where a list of jobs is expected"
            )
        return tuple(found)

    def put(self, job: Job, *, repeatable: bool = True) -> None:
        """Create or replace: one with `parents` after them, any other by its schedule.

        One that is due at once would run twice: where an answer is lost, it is not `repeatable`.
        """
        kind = "dependency" if job.get("parents") else "iso8601"
        self.client.ask("POST", f"{self.prefix}{kind}", body=dict(job), repeatable=repeatable)

    def run(self, name: str) -> None:
        """Start it now, besides its schedule; an answer that was lost is not asked for again."""
        self.client.ask("PUT", f"{self.prefix}job/{quote(name)}", repeatable=False)

    def delete(self, name: str) -> None:
        """Delete it; one that is gone is no error."""
        try:
            self.client.ask("DELETE", f"{self.prefix}job/{quote(name)}")
        except ApiError as error:
            if error.status not in (400, 404):
                raise

    def _get(self, what: str) -> Any:
        """The first question finds out which prefix it is."""
        if self._prefix is not None:
            return self.client.get(f"{self._prefix}{what}").body
        try:
            body = self.client.get(f"{PREFIXES[0]}{what}").body
        except ApiError as error:
            if error.kind != "missing":
                raise
            self._prefix = PREFIXES[1]
            return self._get(what)
        self._prefix = PREFIXES[0]
        return body
