"""What of a simulated cluster outlives it: apps with their versions and tasks, deployments, jobs, ids, time.

Tasks that ran run on, and are checked for health anew; jobs that ran begin again. Agents come from whoever
starts the simulator, and keep their ids by their place in the list.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constructs_lib.errors import SimulatorError
from constructs_lib.simulator.cluster.apps import AppState
from constructs_lib.simulator.cluster.deployments import Action, Deployment
from constructs_lib.simulator.cluster.jobs import JobState, Run
from constructs_lib.simulator.cluster.profiles import Profile
from constructs_lib.simulator.cluster.timeline import HandClock, RunningClock
from constructs_lib.simulator.cluster.world import Task
from constructs_lib.simulator.schedules import Schedule

if TYPE_CHECKING:
    from constructs_lib.simulator.cluster.cluster import SimulatedCluster

_FORMAT = 1
_WRITE_SECONDS = 0.5
_OF_TASK = (
    "id",
    "owner",
    "version",
    "cpus",
    "mem",
    "disk",
    "gpus",
    "grace",
    "staged_at",
    "started_at",
    "spec",
)


class StateFile:
    """Writes a cluster's state to a file whenever it changed, at most twice a second, and at the end."""

    def __init__(self, path: Path, cluster: SimulatedCluster) -> None:
        self._path = path
        self._cluster = cluster
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="state", daemon=True)

    def read(self) -> None:
        """Take up what the file has, where there is one.

        Raises:
            SimulatorError: it can't be read, or is not of this simulator.
        """
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            if not isinstance(data, dict) or data.get("clustermesos-simulator") != _FORMAT:
                raise ValueError("it is not a state file of this version of the simulator")
        except FileNotFoundError:
            return
        except OSError as error:
            raise SimulatorError(f"{self._path}: can't be read: {error.strerror}") from None
        except ValueError as error:
            raise SimulatorError(f"{self._path}: {error}; move it away to begin anew") from None
        try:
            with self._cluster.timeline.lock:
                restore(self._cluster, data)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise SimulatorError(
                f"{self._path}: is damaged ({type(error).__name__}: {error}); move it away to begin anew"
            ) from None

    def start(self) -> None:
        """Write it from now on; SimulatorError where that can't be done."""
        self.write()
        self._thread.start()

    def stop(self) -> None:
        """Write it for the last time."""
        self._stopped.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
            self.write()

    def changed(self) -> None:
        """Let it be written soon."""
        self._changed.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._changed.wait()
            self._changed.clear()
            # Whoever stops it hears of a disk that is full for good.
            with contextlib.suppress(SimulatorError):
                self.write()
            self._stopped.wait(_WRITE_SECONDS)

    def write(self) -> None:
        """Write it now, whole or not at all; its owner alone may read it.

        Raises:
            SimulatorError: it can't be written.
        """
        with self._cluster.timeline.lock:
            text = json.dumps(snapshot(self._cluster))
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            fresh.replace(self._path)
        except OSError as error:
            raise SimulatorError(f"{self._path}: can't be written: {error.strerror}") from None


def snapshot(cluster: SimulatedCluster) -> dict[str, Any]:
    """The state as JSON."""
    world, marathon = cluster.world, cluster.marathon
    places = {agent.id: number for number, agent in enumerate(world.agents.values())}
    kept = [task for task in world.tasks.values() if task.framework == "marathon" and task.active]
    return {
        "clustermesos-simulator": _FORMAT,
        "time": cluster.now(),
        "id": world.id,
        "agents": list(places),
        "profiles": world.profiles.listed(),
        "last_version": marathon.last_version,
        "apps": [asdict(app) for app in marathon.apps.values()],
        "tasks": [
            {
                **{name: getattr(task, name) for name in _OF_TASK},
                "spec": task.spec,
                "agent": places[task.agent.id],
                "ports": list(task.ports),
            }
            for task in kept
        ],
        "deployments": [_deployment(one) for one in marathon.deployments.values()],
        "jobs": [_job(job) for job in cluster.chronos.jobs.values()],
    }


def _deployment(one: Deployment) -> dict[str, Any]:
    steps = [
        [{**vars(action), "kill": list(action.kill), "released": sorted(action.released)} for action in step]
        for step in one.steps
    ]
    return {**vars(one), "steps": steps}


def _job(job: JobState) -> dict[str, Any]:
    running = [int(task.version) for task in job.running.values()]
    return {
        "fields": job.fields,
        "scheduled": job.schedule is not None,
        "waiting": job.waiting + running,
        "done_parents": sorted(job.done_parents),
        "history": [asdict(run) for run in job.history],
    }


def restore(cluster: SimulatedCluster, data: Mapping[str, Any]) -> None:
    """Put a cluster that has done nothing yet into this state."""
    world, marathon = cluster.world, cluster.marathon
    _set_time(cluster, float(data["time"]))
    agents = list(world.agents.values())
    for agent, id in zip(agents, data["agents"], strict=False):
        agent.id = id
    world.id = data["id"]
    # Else the ids of the first run would come again.
    world.random.seed(f"{world.id} {data['time']}")
    world.agents = {agent.id: agent for agent in agents}
    cluster.marathon.framework_id = f"{world.id}-0000"
    cluster.chronos.framework_id = f"{world.id}-0001"
    for pattern, fields in data["profiles"].items():
        world.profiles.set(pattern, Profile(**fields))
    marathon.last_version = float(data["last_version"])
    for fields in data["apps"]:
        app = AppState(**fields)
        marathon.apps[app.id] = app
    for fields in data["deployments"]:
        steps = [[_action(action) for action in step] for step in fields["steps"]]
        marathon.resume(Deployment(**{**fields, "steps": steps}))
    for fields in data["tasks"]:
        if fields["agent"] < len(agents) and fields["owner"] in marathon.apps:
            marathon.adopt(_task(cluster, fields, agents[fields["agent"]]))
    for app in marathon.apps.values():
        marathon.touch(app.id)
    for fields in data["jobs"]:
        cluster.chronos.adopt(_read_job(cluster, fields), list(fields["waiting"]))


def _set_time(cluster: SimulatedCluster, time: float) -> None:
    clock = cluster.timeline.clock
    if isinstance(clock, HandClock):
        clock.time = max(clock.time, time)
    elif isinstance(clock, RunningClock):
        clock.catch_up(time)


def _action(fields: Mapping[str, Any]) -> Action:
    return Action(**{**fields, "kill": tuple(fields["kill"]), "released": set(fields["released"])})


def _task(cluster: SimulatedCluster, fields: Mapping[str, Any], agent: Any) -> Task:
    profile = cluster.world.profiles.of(fields["owner"])
    return Task(
        **{**fields, "agent": agent, "ports": tuple(fields["ports"])}, framework="marathon", profile=profile
    )


def _read_job(cluster: SimulatedCluster, fields: Mapping[str, Any]) -> JobState:
    schedule: Schedule | None = None
    shown = fields["fields"]
    if fields["scheduled"]:
        schedule = cluster.chronos.schedule_of(shown)
        shown = {**shown, "schedule": str(schedule)}
    return JobState(
        fields=shown,
        schedule=schedule,
        done_parents=set(fields["done_parents"]),
        history=[Run(**run) for run in fields["history"]],
    )
