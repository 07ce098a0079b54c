"""Chronos' schedules, such as `R5/2026-01-01T00:00:00Z/P1D` (`Iso8601Expressions.scala`)."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_SCHEDULE = re.compile(
    r"R(\d*)/([^/]*)/P(?!$)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?"
    r"(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?"
)


@dataclass(frozen=True)
class Schedule:
    """`times` is how often it still runs, None for ever; `start` is when it runs next."""

    times: int | None
    start: datetime
    period: str
    months: int
    seconds: float

    def next(self) -> Schedule:
        """The schedule after one run."""
        times = None if self.times is None else self.times - 1
        return Schedule(times, self._after(self.start), self.period, self.months, self.seconds)

    def from_now(self, now: datetime) -> Schedule:
        """The schedule with what is past left out, by whole periods (`JobUtils.skipForward`)."""
        found = self
        while found.start < now and found._after(found.start) > found.start and found.times != 0:
            if not found.months:
                periods = -(-(now - found.start).total_seconds() // found.seconds)
                start = found.start + timedelta(seconds=periods * found.seconds)
                times = None if found.times is None else max(0, found.times - int(periods))
                return Schedule(times, start, found.period, 0, found.seconds)
            found = found.next()
        return found

    def _after(self, moment: datetime) -> datetime:
        month = moment.month - 1 + self.months
        year, month = moment.year + month // 12, month % 12 + 1
        day = min(moment.day, monthrange(year, month)[1])
        return moment.replace(year=year, month=month, day=day) + timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        start = self.start.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f"R{'' if self.times is None else self.times}/{start}/{self.period}"


def parse_schedule(text: str, now: datetime, zone: str | None = None) -> Schedule:
    """The schedule that a text is; an empty start is `now`.

    Args:
        text: as a job has it.
        now: the time.
        zone: `scheduleTimeZone`: the clock on the wall of the start counts there.

    Raises:
        ValueError: in Chronos' words.
    """
    found = _SCHEDULE.fullmatch(text)
    try:
        start = datetime.fromisoformat(found[2]) if found and found[2] else now
    except ValueError:
        found = None
    if found is None:
        raise ValueError(f"Cannot parse schedule '{text}' (wtf bro)")
    if start.year < 1970:
        raise ValueError(f"Scheduled start date '{found[2]}' is before 1970!")
    if zone:
        try:
            start = start.replace(tzinfo=ZoneInfo(zone))
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"requirement failed: unknown time zone '{zone}'") from None
    if start.tzinfo is None:
        start = start.replace(tzinfo=UTC)
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[2:])
    in_seconds = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return Schedule(
        times=int(found[1]) if found[1] else None,
        start=start,
        period=text.rpartition("/")[2],
        months=12 * years + months,
        seconds=in_seconds.total_seconds(),
    )
