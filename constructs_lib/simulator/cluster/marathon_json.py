"""Simulated Marathon's answers in the shapes of Marathon's RAML types."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from constructs_lib.simulator.app_shape import App
from constructs_lib.simulator.cluster.apps import AppState
from constructs_lib.simulator.cluster.launch_queue import Item
from constructs_lib.simulator.cluster.marathon import Marathon
from constructs_lib.simulator.cluster.readiness import results
from constructs_lib.simulator.cluster.world import Task, iso


def app_info(
    marathon: Marathon,
    app: AppState,
    embed: Collection[str],
    locks: Mapping[str, list[str]],
) -> dict[str, Any]:
    """An app as it is shown; counts and deployments always, as Marathon does for old clients.

    Args:
        marathon: the scheduler.
        app: which one.
        embed: `tasks`, `lastTaskFailure`, `readiness`, `taskStats`.
        locks: app → the deployments that hold it.
    """
    tasks = marathon.tasks_of(app.id)
    found: dict[str, Any] = {
        **app.spec,
        "version": app.version,
        "versionInfo": {
            "lastScalingAt": app.scaling_version,
            "lastConfigChangeAt": app.config_version,
        },
        **_counts(tasks),
        "deployments": [{"id": id} for id in locks.get(app.id, ())],
    }
    if "tasks" in embed:
        found["tasks"] = [task_info(app, task) for task in tasks]
    if "readiness" in embed:
        found["readinessCheckResults"] = readiness_results(marathon, app.id) if app.id in locks else []
    if "lastTaskFailure" in embed and app.last_failure is not None:
        found["lastTaskFailure"] = app.last_failure
    return found


def readiness_results(marathon: Marathon, id: str) -> list[dict[str, Any]]:
    """What an app's instances that a deployment started said last."""
    app = marathon.apps.get(id)
    if app is None:
        return []
    return results([task for task in marathon.active(id) if app.is_current(task)], app.spec)


def locks(marathon: Marathon) -> dict[str, list[str]]:
    """App → the deployments that hold it."""
    found: dict[str, list[str]] = {}
    for deployment in marathon.deployments.values():
        for id in deployment.affected:
            found.setdefault(id, []).append(deployment.id)
    return found


def _counts(tasks: Iterable[Task]) -> dict[str, int]:
    counts = {"tasksStaged": 0, "tasksRunning": 0, "tasksHealthy": 0, "tasksUnhealthy": 0}
    for task in tasks:
        if task.state == "TASK_STAGING":
            counts["tasksStaged"] += 1
        elif task.state == "TASK_RUNNING":
            counts["tasksRunning"] += 1
            if task.healthy is not None:
                counts["tasksHealthy" if task.healthy else "tasksUnhealthy"] += 1
    return counts


def task_info(app: AppState | None, task: Task) -> dict[str, Any]:
    """A task as below an app."""
    agent = task.agent
    found: dict[str, Any] = {
        "id": task.id,
        "appId": task.owner,
        "host": agent.hostname,
        "slaveId": agent.id,
        "ports": list(task.ports),
        "servicePorts": [],
        "ipAddresses": [{"ipAddress": agent.hostname, "protocol": "IPv4"}],
        "stagedAt": iso(task.staged_at),
        "state": task.state,
        "version": task.version,
        "localVolumes": [],
        "role": "*",
    }
    if task.started_at is not None:
        found["startedAt"] = iso(task.started_at)
    if agent.region is not None:
        found["region"] = agent.region
    if agent.zone is not None:
        found["zone"] = agent.zone
    if app is not None and app.checked and task.healthy is not None:
        found["healthCheckResults"] = [_health(task)]
    return found


def _health(task: Task) -> dict[str, Any]:
    found: dict[str, Any] = {
        "alive": task.healthy,
        "consecutiveFailures": task.failures,
        "instanceId": task.id.removesuffix("._app.1"),
    }
    if task.first_healthy_at is not None:
        found["firstSuccess"] = found["lastSuccess"] = iso(task.first_healthy_at)
    if not task.healthy:
        found["lastFailureCause"] = "ConnectionAttemptFailedException: Connection refused"
    return found


def queue_entry(marathon: Marathon, item: Item, *, offers: bool) -> dict[str, Any]:
    """An entry of `/v2/queue`."""
    app, now = marathon.apps[item.app], marathon.world.now()
    left = max(0.0, app.delay_until - now)
    found: dict[str, Any] = {
        "count": item.count,
        "delay": {"timeLeftSeconds": round(left), "overdue": left <= 0},
        "since": iso(item.since),
        "role": app.spec["role"],
        "processedOffersSummary": item.summary(),
        "app": {**app.spec, "version": app.version},
    }
    if offers:
        found["lastUnusedOffers"] = item.last_unused_offers()
    return found


def groups(shown: Mapping[str, App], id: str = "/") -> dict[str, Any] | None:
    """The tree of groups below `id`, with their apps; None where there is no such group."""
    root: dict[str, Any] = _group("/")
    known = {"/": root}
    for app in shown.values():
        parts = app["id"].strip("/").split("/")[:-1]
        group, path = root, ""
        for part in parts:
            path += f"/{part}"
            if path not in known:
                known[path] = _group(path)
                group["groups"].append(known[path])
            group = known[path]
        group["apps"].append(app)
    return known.get("/" + id.strip("/"))


def _group(id: str) -> dict[str, Any]:
    return {"id": id, "apps": [], "pods": [], "groups": [], "dependencies": [], "enforceRole": False}
