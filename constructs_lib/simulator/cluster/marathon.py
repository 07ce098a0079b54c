"""Marathon's scheduler over the simulated world: apps, their instances, health, back-off, deployments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from constructs_lib.simulator.app_shape import App
from constructs_lib.simulator.cluster import readiness
from constructs_lib.simulator.cluster.agents import Agent
from constructs_lib.simulator.cluster.apps import AppState, failure
from constructs_lib.simulator.cluster.deployments import Deployment, drive
from constructs_lib.simulator.cluster.health import Health
from constructs_lib.simulator.cluster.launch_queue import Item
from constructs_lib.simulator.cluster.matching import match
from constructs_lib.simulator.cluster.planning import depths, steps
from constructs_lib.simulator.cluster.world import Say, Task, World, iso

DEPLOYMENT_SECONDS: Final = 0.1
"""How long a deployment takes before its first step."""
MOST_DEPLOYMENTS: Final = 100
"""`--max_running_deployments`."""


class LockedError(Exception):
    """Deployments hold an app that was to be changed."""

    def __init__(self, deployments: list[str]) -> None:
        super().__init__(f"locked by {deployments}")
        self.deployments = deployments


class TooManyError(Exception):
    """There are as many deployments as there may be."""


class Marathon:
    """The scheduler. Everything here is called with the timeline's lock held."""

    name = "marathon"

    def __init__(self, world: World, say: Say, *, most_deployments: int = MOST_DEPLOYMENTS) -> None:
        self.world = world
        self.framework_id = f"{world.id}-0000"
        self.apps: dict[str, AppState] = {}
        self.deployments: dict[str, Deployment] = {}
        self.queue: dict[str, Item] = {}
        self.most_deployments = most_deployments
        self.frozen = False
        self.stuck: set[str] = set()
        """A fault: patterns of apps whose deployments do nothing."""
        self._say = say
        self._health = Health(world, self.apps, say, self.touch)
        self._by_app: dict[str, dict[str, Task]] = {}
        self.last_version = 0.0
        self._dirty: set[str] = set()
        self._pending = False

    # What the API asks for.

    def change(
        self,
        wanted: Mapping[str, App | None],
        *,
        force: bool = False,
        restart: bool = False,
        kill: Mapping[str, Sequence[str]] | None = None,
    ) -> Deployment:
        """Deploy apps, None to delete one; LockedError, TooManyError, CyclicError.

        Args:
            wanted: id → the app as it is to be, without defaults.
            force: whether deployments that hold one of them are given up.
            restart: replace all instances although nothing changed.
            kill: id → tasks that go first.
        """
        holders = [one for one in self.deployments.values() if set(one.original) & set(wanted)]
        if holders and not force:
            raise LockedError([one.id for one in holders])
        if len(self.deployments) - len(holders) >= self.most_deployments:
            raise TooManyError
        order = depths({id: app.spec for id, app in self.apps.items()}, wanted)
        for one in holders:
            self._give_up(one)
        version = self.next_version()
        before = {id: dict(self.apps[id].spec) if id in self.apps else None for id in wanted}
        planned = steps(self, wanted, version, order, restart=restart, kill=kill or {})
        made = Deployment(id=self.world.uuid(), version=version, original=before, steps=planned)
        if made.steps:
            self.deployments[made.id] = made
            self._say("deployment_info", {"plan": made.shown()})
            self.world.timeline.after(DEPLOYMENT_SECONDS, lambda: self._drive(made))
        return made

    def next_version(self) -> str:
        """A version greater than all before."""
        self.last_version = max(self.world.now(), self.last_version + 0.001)
        return iso(self.last_version)

    def cancel(self, id: str, *, force: bool) -> Deployment | None:
        """Give a deployment up; without `force` a new one brings back what was before, and is returned."""
        deployment = self.deployments[id]
        if force:
            self._give_up(deployment)
            return None
        return self.change(deployment.original, force=True)

    def _give_up(self, deployment: Deployment) -> None:
        self.deployments.pop(deployment.id, None)
        for id in deployment.affected:
            if id in self.apps:
                # From here on only the number of instances counts, of whatever version they are.
                self.apps[id].wanted = self.apps[id].spec["instances"]
                self.touch(id)
        self._say("deployment_failed", {"id": deployment.id, "plan": deployment.shown()})

    def _drive(self, deployment: Deployment) -> None:
        if any(fnmatchcase(app, pattern) for pattern in self.stuck for app in deployment.original):
            return
        if deployment.id in self.deployments and drive(self, deployment):
            del self.deployments[deployment.id]
            self._say("deployment_success", {"id": deployment.id, "plan": deployment.shown()})

    # What the deployments do.

    def tasks_of(self, id: str) -> list[Task]:
        """The tasks of an app that have not ended."""
        return list(self._by_app.get(id, {}).values())

    def active(self, id: str) -> list[Task]:
        """The tasks of an app that are staging or running."""
        return [task for task in self.tasks_of(id) if task.active]

    def reconcile(self, app: AppState) -> None:
        """Have as many instances as wanted, of whatever version."""
        active = self.active(app.id)
        self.want(app, max(0, app.wanted - len(active)))
        for surplus in app.killed_first(active)[: max(0, len(active) - app.wanted)]:
            self.world.kill(surplus)

    def want(self, app: AppState, count: int) -> None:
        """Let `count` instances wait for offers."""
        if not count:
            self.queue.pop(app.id, None)
            return
        item = self.queue.setdefault(app.id, Item(app=app.id, count=count, since=self.world.now()))
        item.count = count
        self.world.want_offers()

    def forget(self, id: str) -> None:
        """Have no such app any more."""
        self.apps.pop(id, None)
        self.queue.pop(id, None)
        self._by_app.pop(id, None)

    # What the world says.

    def wants_offers(self) -> bool:
        """Whether instances wait."""
        return bool(self.queue)

    def offered(self, agents: Sequence[Agent]) -> None:
        """Launch what fits, first come first served; note why the rest does not fit."""
        now = self.world.now()
        for item in list(self.queue.values()):
            app = self.apps[item.app]
            if app.delay_until > now:
                continue
            if item.judged == self.world.revision:
                item.again(now)
                continue
            # Whatever is launched now may let more fit on agents that were judged before.
            judged = self.world.revision
            for agent in agents:
                self._try(item, app, agent, now)
                if not item.count:
                    self.queue.pop(item.app, None)
                    break
            item.judged = judged

    def _try(self, item: Item, app: AppState, agent: Agent, now: float) -> None:
        while item.count:
            others = [task.agent for task in self.tasks_of(app.id) if app.is_current(task)]
            found = match(
                app.spec, agent, others, home=self.world.region, reserved=self._waiting_volumes(app)
            )
            if not found.fits:
                return item.turned_down(agent, found.reasons, now)
            item.count -= 1
            item.used(agent, now)
            self._launch(app, agent, found.ports)
        return None

    def _waiting_volumes(self, app: AppState) -> set[str]:
        held = dict(app.reserved)
        for task in self.tasks_of(app.id):
            held[task.agent.id] = held.get(task.agent.id, 0) - 1
        return {agent for agent, number in held.items() if number > 0}

    def _launch(self, app: AppState, agent: Agent, ports: tuple[int, ...]) -> None:
        spec = app.spec
        task = Task(
            id=f"{app.id.strip('/').replace('/', '_')}.instance-{self.world.uuid()}._app.1",
            framework=self.name,
            owner=app.id,
            version=app.version,
            agent=agent,
            profile=self.world.profiles.of(app.id),
            cpus=spec["cpus"],
            mem=spec["mem"],
            disk=spec["disk"],
            gpus=spec["gpus"],
            ports=ports,
            grace=float(spec.get("taskKillGracePeriodSeconds") or 3),
            spec=spec,
        )
        self._by_app.setdefault(app.id, {})[task.id] = task
        if any("persistent" in volume for volume in (spec.get("container") or {}).get("volumes", [])):
            here = sum(one.agent is agent for one in self.tasks_of(app.id))
            app.reserved[agent.id] = max(app.reserved.get(agent.id, 0), here)
        self.world.launch(task)

    def updated(self, task: Task) -> None:
        """A task changed: count failures, begin to check its health, and go on with what waits for it."""
        app = self.apps.get(task.owner)
        if task.ended:
            self._by_app.get(task.owner, {}).pop(task.id, None)
        if app is None:
            return
        if task.ended and task.state != "TASK_KILLED":
            app.last_failure = failure(app.id, task)
            if app.is_current(task):
                app.back_off(self.world.now())
        elif task.state == "TASK_RUNNING":
            self._health.watch(app, task)
            self._ask_ready(app, task)
        self._say("status_update_event", _status(task))
        self.touch(app.id)

    def _ask_ready(self, app: AppState, task: Task) -> None:
        if readiness.watch(self.world, app, task):
            self.touch(app.id)
            return
        seconds = app.spec["readinessChecks"][0]["intervalSeconds"]
        self.world.later(task, seconds, lambda: self._ask_ready(app, task))

    def adopt(self, task: Task) -> None:
        """Take up a task of former times, which goes on running."""
        self._by_app.setdefault(task.owner, {})[task.id] = task
        self.world.adopt(task)

    def resume(self, deployment: Deployment) -> None:
        """Go on with a deployment of former times."""
        self.deployments[deployment.id] = deployment
        self.world.timeline.after(DEPLOYMENT_SECONDS, lambda: self._drive(deployment))

    def touch(self, id: str) -> None:
        """Go on with an app, once for all that happens at this moment."""
        self._dirty.add(id)
        if not self._pending:
            self._pending = True
            self.world.timeline.after(0, self._go_on)

    def _go_on(self) -> None:
        self._pending = False
        dirty, self._dirty = self._dirty, set()
        holders = [one for one in self.deployments.values() if dirty & set(one.original)]
        driven: set[str] = set()
        for deployment in holders:
            driven |= {action.app for action in deployment.actions if action.begun}
            self._drive(deployment)
        for id in sorted(dirty - driven):
            if id in self.apps:
                self.reconcile(self.apps[id])

    def leader_changed(self) -> None:
        """What a new leader does not know: health until the next check, back-off, and what offers said."""
        for id, app in self.apps.items():
            app.reset_delay()
            for task in self.active(id):
                if app.checked and task.healthy is not None:
                    self._health.lose(app, task)
            self.touch(id)
        for item in self.queue.values():
            self.queue[item.app] = Item(app=item.app, count=item.count, since=self.world.now())


def _status(task: Task) -> dict[str, Any]:
    return {
        "appId": task.owner,
        "host": task.agent.hostname,
        "message": task.message,
        "ports": list(task.ports),
        "slaveId": task.agent.id,
        "taskId": task.id,
        "taskStatus": task.state,
        "version": task.version,
    }
