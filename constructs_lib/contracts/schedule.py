"""Schedules as Chronos takes them: `R/START/PERIOD`, with a start that is the same whenever it is compiled.

What is sent has the next start that is to come (`from_now`), so that a fixed Monday will do. Where a contract
doesn't say when, the hash of the job's name does: hundreds of jobs are spread, and each stays where it is.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
_WORDS = {
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(days=7),
    "monthly": timedelta(days=30),
}
_NIGHT = timedelta(hours=6)
"""What is daily or rarer starts in the first hours of a day, UTC, unless it says otherwise."""


def interval(schedule: str) -> timedelta:
    """How often: `weekly at 04:00` is 7 days, `monthly` 30."""
    word = schedule.partition(" ")[0]
    if word in _WORDS:
        return _WORDS[word]
    hours, days = re.fullmatch(r"P(?:T(\d+)H|(\d+)D)", schedule).groups()  # type: ignore[union-attr]
    return timedelta(hours=int(hours or 0), days=int(days or 0))


def overdue_after(every: timedelta) -> timedelta:
    """How old the last success of such a job may be: a run may take a quarter of that, and half an hour."""
    return every + every / 4 + timedelta(minutes=30)


def interval_of(repeating: str) -> timedelta | None:
    """How often a job runs, by its schedule as Chronos has it; None for one that is not ours."""
    found = re.search(r"/P(?:T(\d+)H|(\d+)D)$", repeating)
    return timedelta(hours=int(found[1] or 0), days=int(found[2] or 0)) if found else None


def start_of(repeating: str) -> datetime | None:
    """When a job is due next, by its schedule as Chronos has it; None for one that is not ours.

    Chronos 3.0 moves the start as it launches a task: what it could not launch stays due in the past.
    """
    found = re.match(r"R\d*/([-\dT:]+)(?:\.\d+)?Z/P", repeating)
    try:
        return datetime.fromisoformat(found[1]).replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def from_now(repeating: str, now: datetime) -> str:
    """The schedule with its start moved by whole periods until it is to come; one that is not ours as it is.

    Chronos 3.0 runs what is due in the past at once: every job on the day on which it is made or changed.
    """
    start, every = start_of(repeating), interval_of(repeating)
    if start is None or not every or start >= now:
        return repeating
    start += every * -((start - now) // every)
    head, _, tail = repeating.split("/")
    return f"{head}/{_written(start)}/{tail}"


def repeating(schedule: str, name: str) -> str:
    """`R/2026-01-05T02:30:00Z/P1D` for a job called `name`."""
    every = interval(schedule)
    at = re.search(r" at (\d\d):(\d\d)$", schedule)
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    minutes = int(min(every, _NIGHT).total_seconds()) // 60
    offset = timedelta(minutes=digest % minutes)
    if at:
        offset = timedelta(hours=int(at[1]), minutes=int(at[2]))
    if every >= timedelta(days=2):
        offset += timedelta(days=(digest >> 32) % every.days)
    return f"R/{_written(MONDAY + offset)}/{period(every)}"


def _written(start: datetime) -> str:
    return start.strftime("%Y-%m-%dT%H:%M:%SZ")


def in_words(repeating: str) -> str:
    """`daily at 02:30 UTC`; a schedule that is not ours, as it is. Chronos moves the start, not the hour."""
    found = re.fullmatch(r"R\d*/([-\dT:]+)(?:\.\d+)?Z/P(?:T(\d+)H|(\d+)D)", repeating)
    if found is None:
        return f"schedule {repeating}"
    start, hours, days = datetime.fromisoformat(found[1]), int(found[2] or 0), int(found[3] or 0)
    if hours:
        often = "hourly" if hours == 1 else f"every {hours} hours"
        return f"{often} at minute {start.minute}"
    often = {1: "daily", 7: f"on {start:%A}s"}.get(days, f"every {days} days")
    return f"{often} at {start:%H:%M} UTC"


def period(every: timedelta) -> str:
    """`P1D` or `PT6H`."""
    hours = int(every.total_seconds()) // 3600
    return f"P{every.days}D" if hours % 24 == 0 else f"PT{hours}H"
