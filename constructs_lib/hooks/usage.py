"""The share that instances use of their CPUs or memory, from what agents counted at two times.

The whole is what the contract asks for, as Marathon has it, and not the agents' `cpus_limit`, which older
agents give with the executor's own 0.1 CPUs in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from constructs_lib.hooks.agents import Counted
from constructs_lib.hooks.marathon import App, Marathon, tasks_of
from constructs_lib.hooks.watching import owner

SIGNALS: Final = ("cpu", "memory")
"""What agents count; every other signal is a PromQL expression."""
SPAN_SECONDS: Final = 10.0
"""Between two counts where there is none of before."""
FRESH_SECONDS: Final = 5.0
"""So young a count is not made anew: contracts of one round are decided from the same."""
OLDEST_SECONDS: Final = 600.0
"""A count of before that is older says little of now."""
_SHORTEST = 1.0
_MIB = 1 << 20


class Counts(Protocol):
    """Whoever asks agents."""

    def count(self, ids: Collection[str]) -> Counted:
        """Each of these agents, once."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of the instances that serve: what each uses, and why nothing is known of the others."""

    utilization: tuple[float, ...] = ()
    missing: tuple[str, ...] = ()
    """A reason for each."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One time at which all was looked at."""

    at: float
    serving: frozenset[str]
    """Tasks that Marathon calls running and healthy."""
    counted: Counted


@dataclass
class History:
    """The last two rounds; it outlives the connections that they were made with."""

    before: Round | None = None
    last: Round | None = None


@dataclass(kw_only=True)
class Usage:
    """Measures the instances of some contracts of a cluster, by their agents."""

    marathon: Marathon
    agents: Counts
    owners: Collection[tuple[str, str]]
    """Cluster and name of the contracts that follow cpu or memory: whose agents are asked."""
    now: Callable[[], float]
    sleep: Callable[[float], None]
    history: History = field(default_factory=History)

    def of(self, app: App, signal: str) -> Measured:
        """What the instances of an app use; ApiError where Marathon or Mesos' master do not answer."""
        before, last = self._looked(twice=signal == "cpu")
        serving = last.serving & before.serving if before else last.serving
        tasks = [task for task in tasks_of(app) if str(task["id"]) in serving]
        values, missing = [], []
        for task in tasks:
            found = _memory(app, task, last) if before is None else _cpu(app, task, before, last)
            if isinstance(found, str):
                missing.append(found)
            else:
                values.append(found)
        return Measured(utilization=tuple(values), missing=tuple(missing))

    def _looked(self, *, twice: bool) -> tuple[Round | None, Round]:
        history, now = self.history, self.now()
        if history.last is None or now - history.last.at > FRESH_SECONDS:
            usable = history.last is not None and now - history.last.at <= OLDEST_SECONDS
            history.before, history.last = (history.last if usable else None), self._look()
        if twice and history.before is None:
            self.sleep(SPAN_SECONDS)
            history.before, history.last = history.last, self._look()
        return (history.before if twice else None), history.last

    def _look(self) -> Round:
        apps = [app for app in self.marathon.apps() if owner(app) in self.owners]
        tasks = [task for app in apps for task in serving(app)]
        counted = self.agents.count({str(task.get("slaveId")) for task in tasks})
        ids = frozenset(str(task["id"]) for task in tasks)
        return Round(at=self.now(), serving=ids, counted=counted)


def serving(app: App) -> list[Mapping[str, Any]]:
    """Tasks that run, healthy where somebody checks: the load of one that starts is not the visitors'."""
    running = [task for task in tasks_of(app) if task.get("state") == "TASK_RUNNING"]
    if not app.get("healthChecks"):
        return running
    return [task for task in running if _alive(task)]


def _alive(task: Mapping[str, Any]) -> bool:
    results = [one for one in task.get("healthCheckResults") or () if one]
    return bool(results) and all(one.get("alive") for one in results)


def _cpu(app: App, task: Mapping[str, Any], before: Round, last: Round) -> float | str:
    id, whole = str(task["id"]), float(app.get("cpus") or 0)
    first, second = before.counted.samples.get(id), last.counted.samples.get(id)
    if first is None or second is None:
        return _why(task, last if second is None else before)
    seconds, spent = second.at - first.at, second.cpu_seconds - first.cpu_seconds
    if seconds < _SHORTEST or spent < 0 or not whole:
        return f"the counters of a container on {task.get('host')} did not go on from one look to the next"
    return spent / seconds / whole


def _memory(app: App, task: Mapping[str, Any], last: Round) -> float | str:
    sample, whole = last.counted.samples.get(str(task["id"])), float(app.get("mem") or 0) * _MIB
    if sample is None or not whole:
        return _why(task, last)
    return sample.memory_bytes / whole


def _why(task: Mapping[str, Any], round: Round) -> str:
    silent = round.counted.silent.get(str(task.get("slaveId")))
    return silent or f"agent {task.get('host')} has no numbers of a container"
