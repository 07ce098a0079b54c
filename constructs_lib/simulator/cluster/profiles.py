"""How tasks live: when they start, when they are healthy, when and how they end. Data, chosen by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The life of the tasks of an app or a job; all times are seconds."""

    start_seconds: float = 1.0
    """From staging to running: the image's download and the container's start."""
    healthy_after: float | None = 1.0
    """From running until its health check passes; None: it never does."""
    unhealthy_after: float | None = None
    """From running until its health check fails again; None: it doesn't."""
    ready_after: float | None = 0.0
    """From running until its readiness check passes, which only deployments wait for; None: it never does."""
    fails_after: float | None = None
    """From running until it ends by itself with `exit_code`; None: it lives until it is killed."""
    fail_rate: float = 0.0
    """The share of tasks, 0 to 1, that end with `exit_code` right after they started."""
    exit_code: int = 1
    stop_seconds: float = 0.2
    """From SIGTERM until it ends; where this is longer than its grace period it is ended by SIGKILL."""
    listens_seconds: float = 0.0
    """From SIGTERM until it takes no more connections, where tasks are real servers."""
    error_rate: float = 0.0
    """The share of requests, 0 to 1, that a real server answers with 500."""
    runs_seconds: float = 2.0
    """How long the task of a job runs; an app's task never ends by itself."""

    def __post_init__(self) -> None:
        for name in ("fail_rate", "error_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected 0 to 1")


class Profiles:
    """Which profile the tasks of which app or job have: the pattern that was set last wins."""

    def __init__(self) -> None:
        self._by_pattern: dict[str, Profile] = {}

    def set(self, pattern: str, profile: Profile) -> None:
        """Give tasks of apps or jobs whose name fits `pattern` (`/shop/*`) this life from now on."""
        self._by_pattern.pop(pattern, None)
        self._by_pattern[pattern] = profile

    def of(self, name: str) -> Profile:
        """The life of the next task of `name`."""
        for pattern, profile in reversed(self._by_pattern.items()):
            if fnmatchcase(name, pattern):
                return profile
        return Profile()

    def listed(self) -> dict[str, dict[str, Any]]:
        """Pattern → its fields."""
        return {pattern: dict(vars(profile)) for pattern, profile in self._by_pattern.items()}


def read_profile(given: Mapping[str, Any]) -> Profile:
    """A profile from JSON or YAML.

    Raises:
        ValueError: a field that there is not, or a value that is no number.
    """
    known = {field.name for field in fields(Profile)}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"profile: got a field {name!r}, expected one of {', '.join(sorted(known))}")
        if isinstance(value, bool) or not (isinstance(value, int | float) or value is None):
            raise ValueError(f"profile: {name}: got {value!r}, expected a number")
    return Profile(**given)
