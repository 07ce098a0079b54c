"""What Chronos finds wrong in a job, in its words and with its status codes (`JobDeserializer.scala`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from constructs_lib.simulator.json_types import ListOf, Shape, mistyped, without_nulls
from constructs_lib.simulator.schedules import parse_schedule

_NAME = re.compile(r"[\w.-]+")
_OPERATORS = ("EQUALS", "LIKE", "UNLIKE")
_NETWORKS = ("BRIDGE", "HOST", "USER")
Job = dict[str, Any]

_TYPES: Shape = {
    "name": "text",
    "schedule": "text",
    "scheduleTimeZone": "text",
    "parents": ListOf("text"),
    "command": "text",
    "arguments": ListOf("text"),
    "shell": "bool",
    "retries": "int",
    "cpus": "number",
    "mem": "number",
    "disk": "number",
    "disabled": "bool",
    "concurrent": "bool",
    "softError": "bool",
    "owner": "text",
    "ownerName": "text",
    "constraints": ListOf(ListOf("text")),
    "environmentVariables": ListOf({"name": "text", "value": "text"}),
    "fetch": ListOf("any"),
    "uris": ListOf("text"),
    "container": {"type": "text", "image": "text", "network": "text", "volumes": ListOf("any")},
}
FRESH: Job = {
    "successCount": 0,
    "errorCount": 0,
    "lastSuccess": "",
    "lastError": "",
    "errorsSinceLastSuccess": 0,
    "retries": 2,
    "cpus": 0.1,
    "mem": 128.0,
    "disk": 256.0,
    "shell": True,
    "disabled": False,
    "concurrent": False,
}
"""What a job has that does not say otherwise."""


class BadRequestError(Exception):
    """Status 400, also for a job that there is not: so it is in Chronos."""


def known_job(jobs: Mapping[str, Job], name: str) -> Job:
    """The job of this name.

    Raises:
        BadRequestError: there is none.
    """
    if name not in jobs:
        raise BadRequestError(f"Job '{name}' not found")
    return jobs[name]


def check_job(job: Any, *, scheduled: bool, known: Mapping[str, Job], now: datetime) -> Job:
    """The job as it is kept.

    Args:
        job: what was sent, read from JSON.
        scheduled: whether to `iso8601`, else to `dependency`.
        known: the jobs that there are.
        now: the time.

    Raises:
        BadRequestError: status 400.
        OSError: status 500, where Chronos meets what it did not expect.
    """
    if not isinstance(job, dict) or not isinstance(job.get("name"), str):
        raise OSError("java.lang.NullPointerException: a job needs a name")
    for path, error in mistyped(job, _TYPES):
        raise BadRequestError(f"Can not deserialize instance of {job['name']}: {path}: {error}")
    job = without_nulls(job)
    if not _NAME.fullmatch(job["name"]):
        raise BadRequestError(
            f"requirement failed: the job's name is invalid. Allowed names: '{_NAME.pattern}'"
        )
    if job.get("uris") and job.get("fetch"):
        raise BadRequestError(f"Tried to add both uri (deprecated) and fetch parameters on {job['name']}")
    container = job.get("container")
    if isinstance(container, dict) and container.get("network", "HOST") not in _NETWORKS:
        network = container["network"]
        raise OSError(f"java.util.NoSuchElementException: No value found for '{network}'\n\tat scala.Enum")
    if scheduled:
        try:
            parse_schedule(str(job.get("schedule", "")), now, job.get("scheduleTimeZone"))
        except ValueError as error:
            raise BadRequestError(str(error)) from None
    else:
        parents = job.get("parents")
        if not parents or not all(parent in known for parent in parents):
            raise BadRequestError(f"requirement failed: Job parent not found: {parents}")
        if job["name"] in parents:
            raise BadRequestError(f"requirement failed: {job['name']} is its own parent")
    # An unknown operator is dropped without a word: so it is in Chronos.
    wanted = [c for c in job.get("constraints", []) if c[1:2] and c[1] in _OPERATORS]
    return {**job, "constraints": wanted}
