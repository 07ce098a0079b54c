"""What simulated tasks use of processors and memory: said by pattern, counted as cgroups do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from constructs_lib.simulator.cluster.world import Task


@dataclass(frozen=True, kw_only=True)
class Use:
    """What the running tasks of an app or a job use, as shares of what each of them was given."""

    cpu: float | None = 0.1
    """Of its CPUs; None: the agent can't count what the task uses, and says nothing of it."""
    memory: float = 0.3
    """Of its memory."""
    load: float | None = None
    """CPUs that all of them are busy with together, in place of `cpu`: each has an equal part of it, and
    never more than its own CPUs."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and value < 0:
                raise ValueError(f"{name}: got {value}, expected 0 or more")


@dataclass
class _Spent:
    task: Task
    since: float
    seconds: float = 0.0
    rate: float = 0.0


class Usage:
    """Counters of every task that runs; a watcher of the world. The pattern that was set last wins."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._by_pattern: dict[str, Use] = {}
        self._spent: dict[str, _Spent] = {}

    def set(self, pattern: str, use: Use) -> None:
        """Let tasks of apps or jobs whose name fits `pattern` (`/shop/*`) use this from now on."""
        self._by_pattern.pop(pattern, None)
        self._by_pattern[pattern] = use
        self._settle()

    def watch(self, task: Task) -> None:
        """Begin to count, or forget."""
        if task.ended:
            self._spent.pop(task.id, None)
        elif task.state == "TASK_RUNNING" and task.id not in self._spent:
            spent = self._spent[task.id] = _Spent(task, self._now())
            spent.rate = (self._of(task)[1].cpu or 0.0) * task.cpus
        # Only what is shared changes with the number of those that share it.
        if any(use.load is not None for use in self._by_pattern.values()):
            self._settle()

    def of(self, task: Task) -> tuple[Use, float]:
        """What a task is said to use, and its CPU seconds so far."""
        spent = self._spent.get(task.id)
        seconds = spent.seconds + spent.rate * (self._now() - spent.since) if spent else 0.0
        return self._of(task)[1], seconds

    def listed(self) -> dict[str, dict[str, Any]]:
        """Pattern → its fields."""
        return {pattern: dict(vars(use)) for pattern, use in self._by_pattern.items()}

    def _of(self, task: Task) -> tuple[str, Use]:
        for pattern, use in reversed(self._by_pattern.items()):
            if fnmatchcase(task.owner, pattern):
                return pattern, use
        return "", Use()

    def _settle(self) -> None:
        now = self._now()
        found = {id: self._of(spent.task) for id, spent in self._spent.items()}
        sharing = Counter(pattern for pattern, _use in found.values())
        for id, spent in self._spent.items():
            pattern, use = found[id]
            spent.seconds += spent.rate * (now - spent.since)
            spent.since = now
            spent.rate = (use.cpu or 0.0) * spent.task.cpus
            if use.load is not None:
                spent.rate = min(spent.task.cpus, use.load / sharing[pattern])


def read_use(given: Mapping[str, Any]) -> Use:
    """What tasks use, from JSON or YAML.

    Raises:
        ValueError: a field that there is not, or a value that is no number of 0 or more.
    """
    known = [field.name for field in fields(Use)]
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"usage: got a field {name!r}, expected one of {', '.join(known)}")
        number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        if not number and (value is not None or name == "memory"):
            raise ValueError(f"usage: {name}: got {value!r}, expected a number, 0 or more")
    return Use(**given)
