"""Marathon's deployments: steps that lock their apps, take time, and never end where they can't.

Source: `DeploymentPlan.scala`, `TaskStartActor.scala`, `TaskReplaceActor.scala` of Marathon 1.10.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from constructs_lib.simulator.app_shape import App
from constructs_lib.simulator.cluster.apps import AppState
from constructs_lib.simulator.cluster.world import Task

if TYPE_CHECKING:
    from constructs_lib.simulator.cluster.marathon import Marathon

Kind = Literal["StartApplication", "ScaleApplication", "RestartApplication", "StopApplication"]


@dataclass(kw_only=True)
class Action:
    """One action of a step, and how far it has come."""

    kind: Kind
    app: str
    kill: tuple[str, ...] = ()
    """Tasks that a scale takes first."""
    begun: bool = False
    began_at: float = 0.0
    needed: int = 0
    """How many new instances a scale waits for."""
    extra: int = 0
    released: set[str] = field(default_factory=set)
    """New instances for each of which one old one was killed."""

    def shown(self) -> dict[str, Any]:
        """As in `steps`."""
        return {"action": self.kind, "app": self.app}


@dataclass(kw_only=True)
class Deployment:
    """One deployment. `original` is what the apps were before, None where there was none."""

    id: str
    version: str
    original: Mapping[str, App | None]
    steps: Sequence[Sequence[Action]]
    step: int = 0

    @property
    def affected(self) -> list[str]:
        """The apps that it locks."""
        return sorted(self.original)

    @property
    def actions(self) -> Sequence[Action]:
        """The current step."""
        return self.steps[self.step] if self.step < len(self.steps) else ()

    def shown(self, readiness: Callable[[str], list[dict[str, Any]]] = lambda _app: []) -> dict[str, Any]:
        """As in `/v2/deployments`; `readiness` knows the results of an app's checks."""
        return {
            "id": self.id,
            "version": self.version,
            "affectedApps": self.affected,
            "affectedPods": [],
            "steps": [{"actions": [action.shown() for action in step]} for step in self.steps],
            "currentActions": [
                {**one.shown(), "readinessCheckResults": readiness(one.app)} for one in self.actions
            ],
            "currentStep": self.step + 1,
            "totalSteps": len(self.steps),
        }


def drive(marathon: Marathon, deployment: Deployment) -> bool:
    """Bring a deployment as far as it can get now; whether it is over."""
    while deployment.step < len(deployment.steps):
        # All of them, not only up to the first that has to wait.
        done = [_DRIVERS[action.kind](marathon, action) for action in deployment.actions]
        if not all(done):
            return False
        deployment.step += 1
    return True


def _start(_marathon: Marathon, _action: Action) -> bool:
    return True


def _stop(marathon: Marathon, action: Action) -> bool:
    app = marathon.apps.get(action.app)
    if app is None:
        return True
    app.wanted = 0
    marathon.reconcile(app)
    if marathon.tasks_of(app.id):
        return False
    marathon.forget(app.id)
    return True


def _scale(marathon: Marathon, action: Action) -> bool:
    app = marathon.apps[action.app]
    if not action.begun:
        action.begun, action.began_at = True, marathon.world.now()
        for id in action.kill:
            if id in marathon.world.tasks:
                marathon.world.kill(marathon.world.tasks[id])
        app.wanted = app.spec["instances"]
        action.needed = max(0, app.wanted - len(marathon.active(app.id)))
    marathon.reconcile(app)
    active = marathon.active(app.id)
    fresh = [task for task in active if task.staged_at >= action.began_at and app.is_ready(task)]
    # Counted by what there is, too: an instance that was asked for may have been scaled away again.
    enough = len(fresh) >= min(action.needed, app.wanted)
    ending = any(task.state == "TASK_KILLING" for task in marathon.tasks_of(app.id))
    return enough and len(active) == app.wanted and not ending


def _restart(marathon: Marathon, action: Action) -> bool:
    app = marathon.apps[action.app]
    wanted = app.wanted = app.spec["instances"]
    old, new = _parts(marathon, app)
    if not action.begun:
        action.begun = True
        _begin(marathon, app, action, old + new)
    for task in [task for task in new if app.is_ready(task) and task.id not in action.released]:
        action.released.add(task.id)
        for victim in app.killed_first(one for one in old if one.active)[:1]:
            marathon.world.kill(victim)
    for surplus in app.killed_first(one for one in new if one.active)[: max(0, len(new) - wanted)]:
        marathon.world.kill(surplus)
    old, new = _parts(marathon, app)
    room = _most(app) + action.extra - len(old) - len(new)
    marathon.want(app, max(0, min(wanted - len(new), room)))
    return not old and len([task for task in new if app.is_ready(task)]) >= wanted


def _parts(marathon: Marathon, app: AppState) -> tuple[list[Task], list[Task]]:
    """The tasks of older configurations, those being killed among them, and the active new ones."""
    tasks = [task for task in marathon.tasks_of(app.id) if task.state != "TASK_UNREACHABLE"]
    new = [task for task in tasks if app.is_current(task) and task.active]
    return [task for task in tasks if not app.is_current(task)], new


def _begin(marathon: Marathon, app: AppState, action: Action, tasks: Sequence[Task]) -> None:
    wanted = app.spec["instances"]
    fewest = math.ceil(wanted * app.spec["upgradeStrategy"]["minimumHealthCapacity"])
    healthy = sum(app.is_happy(task) for task in tasks)
    kills = max(0, healthy - fewest, len(tasks) - wanted)
    old = [task for task in tasks if not app.is_current(task) and task.active]
    if fewest == _most(app) <= healthy:
        # Nothing could ever start: one more than allowed, or one fewer where volumes tie them down.
        if _is_resident(app.spec):
            kills = max(kills, 1)
        else:
            action.extra = 1
    for victim in app.killed_first(old)[:kills]:
        marathon.world.kill(victim)


def _most(app: AppState) -> int:
    over: float = app.spec["upgradeStrategy"]["maximumOverCapacity"]
    instances: int = app.spec["instances"]
    return math.floor(instances * (1 + over))


def _is_resident(spec: App) -> bool:
    return any("persistent" in volume for volume in (spec.get("container") or {}).get("volumes", []))


_DRIVERS = {
    "StartApplication": _start,
    "ScaleApplication": _scale,
    "RestartApplication": _restart,
    "StopApplication": _stop,
}
