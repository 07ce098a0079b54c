"""Apps as simulated Marathon keeps them: versions, instances, failures, back-off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from constructs_lib.simulator.app_shape import App
from constructs_lib.simulator.cluster.world import Task, iso


@dataclass(kw_only=True)
class AppState:
    """One app. Versions are times as text, so that a later one is the greater one."""

    spec: App
    """With all defaults."""
    version: str
    config_version: str
    """When anything but the number of instances changed last, or it was restarted."""
    scaling_version: str
    wanted: int = 0
    """How many instances a finished or running deployment has come to."""
    history: dict[str, App] = field(default_factory=dict)
    last_failure: dict[str, Any] | None = None
    failures: int = 0
    """Tasks of this configuration that failed since its back-off began."""
    delay_until: float = 0.0
    reserved: dict[str, int] = field(default_factory=dict)
    """Agent's id → how many of the app's volumes it holds."""

    @property
    def id(self) -> str:
        """`/shop/1a2b3c4d`."""
        return str(self.spec["id"])

    @property
    def checked(self) -> bool:
        """Whether it has a health check."""
        return bool(self.spec["healthChecks"])

    def is_current(self, task: Task) -> bool:
        """Whether a task has the app's configuration."""
        return task.version >= self.config_version

    def is_happy(self, task: Task) -> bool:
        """Whether a deployment counts a task: running, and healthy where there is a health check."""
        return task.state == "TASK_RUNNING" and (not self.checked or task.healthy is True)

    def is_ready(self, task: Task) -> bool:
        """Whether a deployment goes on for a new task: happy, and ready where there is a readiness check."""
        return self.is_happy(task) and (not self.spec.get("readinessChecks") or task.ready is True)

    def back_off(self, now: float) -> None:
        """Wait before the next task: longer with each failure, 300 s at most."""
        delay = self.spec["backoffSeconds"] * self.spec["backoffFactor"] ** self.failures
        self.delay_until = now + min(delay, self.spec["maxLaunchDelaySeconds"])
        self.failures += 1

    def reset_delay(self) -> None:
        """Forget the back-off."""
        self.failures, self.delay_until = 0, 0.0

    def killed_first(self, tasks: Iterable[Task]) -> list[Task]:
        """Tasks in the order in which they are killed: unhappy ones, then by `killSelection`."""
        youngest = self.spec["killSelection"] == "YOUNGEST_FIRST"
        return sorted(
            tasks,
            key=lambda task: (self.is_happy(task), -task.staged_at if youngest else task.staged_at, task.id),
        )


def failure(app: str, task: Task, *, state: str | None = None, message: str | None = None) -> dict[str, Any]:
    """`lastTaskFailure`."""
    return {
        "appId": app,
        "host": task.agent.hostname,
        "message": message or task.message,
        "slaveId": task.agent.id,
        "state": state or task.state,
        "taskId": task.id,
        "timestamp": iso(task.changed_at),
        "version": task.version,
    }
