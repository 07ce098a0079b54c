"""Jobs as simulated Chronos keeps them: their schedule, how often they ran, and what waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from constructs_lib.simulator.cluster.timeline import Event
from constructs_lib.simulator.cluster.world import Task, iso
from constructs_lib.simulator.job_rules import FRESH, Job
from constructs_lib.simulator.schedules import Schedule

_KEPT_RUNS = 100


@dataclass(frozen=True, kw_only=True)
class Run:
    """One attempt of a job that has ended."""

    task: str
    host: str
    agent: str
    state: str
    began: float
    ended: float
    attempt: int
    message: str
    output: str = ""
    """What its command wrote, where commands are run for real."""


@dataclass(kw_only=True)
class JobState:
    """One job. `fields` is what Chronos shows, its counters among them."""

    fields: Job
    schedule: Schedule | None
    """None for a job with parents."""
    due: Event | None = None
    waiting: list[int] = field(default_factory=list)
    """Attempts that wait for an offer."""
    running: dict[str, Task] = field(default_factory=dict)
    retrying: int = 0
    """Attempts that wait for their retry."""
    done_parents: set[str] = field(default_factory=set)
    history: list[Run] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.fields["name"])

    @property
    def parents(self) -> set[str]:
        """Whom it waits for."""
        return set(self.fields.get("parents") or ())

    @property
    def busy(self) -> bool:
        """Whether a run of it has not ended."""
        return bool(self.waiting or self.running or self.retrying)

    @property
    def status(self) -> str:
        """How its last run ended: fresh, success or failure."""
        success, failure = self.fields["lastSuccess"], self.fields["lastError"]
        if not success and not failure:
            return "fresh"
        return "success" if success >= failure else "failure"

    @property
    def state(self) -> str:
        """What it does now: idle, queued, or how many run."""
        if self.running:
            return f"{len(self.running)} running"
        return "queued" if self.waiting or self.retrying else "idle"

    def ran(self, run: Run) -> None:
        """Keep what became of an attempt."""
        self.history.append(run)
        del self.history[:-_KEPT_RUNS]

    def succeeded(self, now: float) -> None:
        """Count a run that went well."""
        self.fields.update(
            successCount=self.fields["successCount"] + 1, errorsSinceLastSuccess=0, lastSuccess=iso(now)
        )

    def failed(self, now: float) -> None:
        """Count a run that failed with all its retries."""
        self.fields.update(
            errorCount=self.fields["errorCount"] + 1,
            errorsSinceLastSuccess=self.fields["errorsSinceLastSuccess"] + 1,
            lastError=iso(now),
        )


def made(job: Job, schedule: Schedule | None, before: JobState | None) -> JobState:
    """A job as it is kept; one that replaces another keeps its counters."""
    counted = ("successCount", "errorCount", "lastSuccess", "lastError", "errorsSinceLastSuccess")
    kept = {name: before.fields[name] for name in counted} if before else {}
    fields = {**FRESH, **job, **kept}
    if schedule is not None:
        fields["schedule"] = str(schedule)
    return JobState(fields=fields, schedule=schedule, history=before.history if before else [])


def histogram(runs: list[Run]) -> dict[str, Any]:
    """`histogram` of `job/stat`: seconds of the runs that went well."""
    seconds = sorted(run.ended - run.began for run in runs if run.state == "TASK_FINISHED")
    if not seconds:
        return {"count": 0}

    def share(part: float) -> float:
        return seconds[min(len(seconds) - 1, int(part * len(seconds)))]

    return {
        "count": len(seconds),
        "mean": sum(seconds) / len(seconds),
        "median": share(0.5),
        "75thPercentile": share(0.75),
        "95thPercentile": share(0.95),
        "98thPercentile": share(0.98),
        "99thPercentile": share(0.99),
    }
