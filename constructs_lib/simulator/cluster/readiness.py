"""Readiness checks of simulated Marathon, which only deployments wait for.

Source: `ReadinessBehavior.scala` and `AppInfoBaseData.scala` of Marathon 1.10: an instance that runs is asked
at once and then every `intervalSeconds` until it is ready; results are shown while a deployment runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from constructs_lib.simulator.app_shape import App
from constructs_lib.simulator.cluster.apps import AppState
from constructs_lib.simulator.cluster.world import Task, World


def watch(world: World, app: AppState, task: Task) -> bool:
    """Ask a task that runs, until it is ready; whether it is now."""
    if not app.spec.get("readinessChecks") or task.ready:
        return True
    after, began = task.profile.ready_after, task.started_at or world.now()
    task.ready = after is not None and world.now() - began >= after
    return task.ready


def results(tasks: Sequence[Task], spec: App) -> list[dict[str, Any]]:
    """`readinessCheckResults` of the instances that were asked."""
    checks = spec.get("readinessChecks")
    return [_result(checks[0], task) for task in tasks if task.ready is not None] if checks else []


def _result(check: App, task: Task) -> dict[str, Any]:
    found: dict[str, Any] = {"name": check["name"], "taskId": task.id, "ready": task.ready}
    if check["preserveLastResponse"]:
        status = check["httpStatusCodesForReady"][0] if task.ready else 503
        found["lastResponse"] = {"status": status, "contentType": "text/plain", "body": ""}
    return found
