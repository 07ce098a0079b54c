"""Health checks of simulated Marathon: results by the lives of tasks, and what it does about failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from constructs_lib.simulator.cluster.apps import AppState, failure
from constructs_lib.simulator.cluster.world import Say, Task, World

_WHY = "Task was killed since health check failed. Reason: ConnectionAttemptFailedException"


class Health:
    """Checks the tasks of `apps`; `touch` is called with an app whose deployment may go on."""

    def __init__(
        self, world: World, apps: Mapping[str, AppState], say: Say, touch: Callable[[str], None]
    ) -> None:
        self._world = world
        self._apps = apps
        self._say = say
        self._touch = touch

    def watch(self, app: AppState, task: Task) -> None:
        """Begin to check a task that runs."""
        if not app.checked:
            return
        profile, check = task.profile, app.spec["healthChecks"][0]
        if profile.healthy_after is None:
            self._world.later(task, check["gracePeriodSeconds"], lambda: self._failed(task))
            return
        self._world.later(task, profile.healthy_after, lambda: self._passed(task))
        if profile.unhealthy_after is not None:
            self._world.later(task, profile.unhealthy_after, lambda: self._failed(task))

    def lose(self, app: AppState, task: Task) -> None:
        """Forget the result until the next check, as a new leader does."""
        before, task.healthy = task.healthy, None
        again = self._passed if before else self._failed
        self._world.later(task, app.spec["healthChecks"][0]["intervalSeconds"], lambda: again(task))

    def _passed(self, task: Task) -> None:
        task.healthy, task.failures = True, 0
        task.first_healthy_at = task.first_healthy_at or self._world.now()
        self._changed(task)

    def _failed(self, task: Task) -> None:
        app = self._apps.get(task.owner)
        if app is None or not app.checked:
            return
        check = app.spec["healthChecks"][0]
        task.healthy, task.failures = False, task.failures + 1
        self._changed(task)
        most = check["maxConsecutiveFailures"]
        # 0 is never for Marathon's own checks, and at the first failure for those that the agent makes.
        if (check["protocol"].startswith("MESOS") or most) and task.failures >= most:
            app.last_failure = failure(app.id, task, state="TASK_KILLED", message=_WHY)
            self._say("unhealthy_instance_kill_event", {"appId": app.id, "taskId": task.id})
            app.back_off(self._world.now())
            self._world.kill(task, _WHY)
            return
        self._world.later(task, check["intervalSeconds"], lambda: self._failed(task))

    def _changed(self, task: Task) -> None:
        self._say(
            "health_status_changed_event", {"appId": task.owner, "taskId": task.id, "alive": task.healthy}
        )
        self._touch(task.owner)
