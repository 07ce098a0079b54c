"""The world that the simulated APIs share: agents, tasks with lives, and offers that go round.

Everything here runs while the timeline's lock is held, in events or in answers.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from constructs_lib.simulator.cluster.agents import Agent
from constructs_lib.simulator.cluster.profiles import Profile, Profiles
from constructs_lib.simulator.cluster.timeline import Event, Timeline

OFFER_SECONDS: Final = 1.0
"""How often offers go round while somebody waits for them (`--allocation_interval` of Mesos)."""
TERMINAL: Final = frozenset(
    {
        "TASK_FINISHED",
        "TASK_FAILED",
        "TASK_KILLED",
        "TASK_LOST",
        "TASK_GONE",
        "TASK_ERROR",
        "TASK_DROPPED",
    }
)


@dataclass(kw_only=True)
class Task:
    """One task of an app or of a job."""

    id: str
    framework: str
    owner: str
    """The app's id, or the job's name."""
    version: str
    agent: Agent
    profile: Profile
    cpus: float
    mem: float
    disk: float
    gpus: float = 0.0
    ports: tuple[int, ...] = ()
    grace: float = 3.0
    """Between SIGTERM and SIGKILL."""
    ends_by_itself: bool = False
    spec: dict[str, Any] = field(default_factory=dict)
    """What it was started from."""
    state: str = "TASK_STAGING"
    staged_at: float = 0.0
    started_at: float | None = None
    changed_at: float = 0.0
    healthy: bool | None = None
    """What its health check said last; None before it said anything."""
    ready: bool | None = None
    """What its readiness check said last; None before it was asked."""
    first_healthy_at: float | None = None
    failures: int = 0
    """Health checks that failed one after the other."""
    message: str = ""
    exit_code: int | None = None
    events: list[Event] = field(default_factory=list)

    @property
    def active(self) -> bool:
        """Staging or running and not being killed."""
        return self.state in ("TASK_STAGING", "TASK_STARTING", "TASK_RUNNING")

    @property
    def ended(self) -> bool:
        """Whether it holds nothing any more."""
        return self.state in TERMINAL


Say = Callable[[str, dict[str, Any]], None]
"""Tells an event: its type and its fields."""


class Framework(Protocol):
    """Marathon or Chronos, as the world sees them."""

    name: str
    frozen: bool
    """A fault: Mesos calls it inactive, and it gets no offers."""

    def wants_offers(self) -> bool:
        """Whether something waits to be launched."""

    def offered(self, agents: Sequence[Agent]) -> None:
        """Take what is needed of these agents, one after the other."""

    def updated(self, task: Task) -> None:
        """Hear that a task of its own changed its state."""


class World:
    """Agents, tasks, offers. `profiles` says how tasks live; `watchers` hear of every change of a task."""

    def __init__(self, timeline: Timeline, agents: Sequence[Agent], *, region: str | None, seed: int) -> None:
        self.timeline = timeline
        self.region = region
        """Where the masters are: what is elsewhere is remote."""
        self.profiles = Profiles()
        self.random = random.Random(seed)  # noqa: S311 — repeatable, and no secret
        self.agents: dict[str, Agent] = {}
        self.tasks: dict[str, Task] = {}
        self.ended: list[Task] = []
        self.frameworks: list[Framework] = []
        self.watchers: list[Callable[[Task], None]] = []
        self.offering = True
        self.revision = 0
        """Grows with every change that could let something fit that did not."""
        self.id = self.uuid()
        self._round: Event | None = None
        for agent in agents:
            self.add(agent)

    def now(self) -> float:
        """Seconds since 1970."""
        return self.timeline.now()

    def uuid(self) -> str:
        """The next of this world's ids."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def add(self, agent: Agent) -> Agent:
        """Let another agent register."""
        if any(agent.hostname == other.hostname for other in self.agents.values()):
            raise ValueError(f"agent {agent.hostname}: there is one of this name already")
        agent.id = agent.id or f"{self.id}-S{len(self.agents)}"
        self.agents[agent.id] = agent
        self.changed()
        return agent

    def agent(self, name: str) -> Agent:
        """The agent with this id or hostname; KeyError with those that there are."""
        for agent in self.agents.values():
            if name in (agent.id, agent.hostname):
                return agent
        known = ", ".join(agent.hostname for agent in self.agents.values())
        raise KeyError(f"no agent is called {name!r}; there are {known}")

    def changed(self) -> None:
        """Note that something may fit now that did not before, and let offers go round."""
        self.revision += 1
        self.want_offers()

    def want_offers(self) -> None:
        """Let offers go round as long as somebody wants them."""
        waits = self._round is None and any(one.wants_offers() for one in self.frameworks)
        if waits:
            self._round = self.timeline.after(OFFER_SECONDS, self._offer)

    def _offer(self) -> None:
        self._round = None
        if self.offering:
            for framework in [one for one in self.frameworks if not one.frozen]:
                framework.offered([agent for agent in self.agents.values() if agent.offers])
        self.want_offers()

    def launch(self, task: Task) -> None:
        """Start a task on its agent, whose resources it takes."""
        self._take(task)
        task.staged_at = task.changed_at = self.now()
        self._later(task, task.profile.start_seconds, lambda: self._run(task))

    def adopt(self, task: Task) -> None:
        """Take up a task of former times, which runs where it was started."""
        self._take(task)
        began = task.started_at
        self._later(task, 0 if began else task.profile.start_seconds, lambda: self._run(task))

    def _take(self, task: Task) -> None:
        agent = task.agent
        agent.used_cpus += task.cpus
        agent.used_mem += task.mem
        agent.used_disk += task.disk
        agent.used_gpus += task.gpus
        agent.used_ports |= set(task.ports)
        self.tasks[task.id] = task
        self.revision += 1

    def _run(self, task: Task) -> None:
        profile = task.profile
        task.started_at = task.started_at or self.now()
        if task.agent.presence == "active":
            self._now(task, "TASK_RUNNING")
        if profile.fail_rate and self.random.random() < profile.fail_rate:
            self._later(task, 0.1, lambda: self.exit(task, profile.exit_code))
        elif profile.fails_after is not None:
            self._later(task, profile.fails_after, lambda: self.exit(task, profile.exit_code))
        elif task.ends_by_itself:
            self._later(task, profile.runs_seconds, lambda: self.exit(task, 0))

    def exit(self, task: Task, code: int, message: str | None = None) -> None:
        """Let a task end by itself with an exit code."""
        if task.ended:
            return
        if task.agent.presence == "partitioned":
            # Nobody hears of it before the agent is back.
            return self._later(task, OFFER_SECONDS, lambda: self.exit(task, code, message))
        task.exit_code = code
        said = message or f"Container exited with status {code}"
        return self.end(task, "TASK_FINISHED" if code == 0 else "TASK_FAILED", said)

    def kill(self, task: Task, message: str = "Killed by framework") -> None:
        """Ask a task to end: SIGTERM, and SIGKILL after its grace period."""
        if not task.active and task.state != "TASK_UNREACHABLE":
            return
        if task.agent.presence == "gone" or task.state == "TASK_UNREACHABLE":
            return self.end(task, "TASK_KILLED", message)
        self._cancel(task)
        seconds = min(task.profile.stop_seconds, task.grace)
        self._now(task, "TASK_KILLING")
        self._later(task, seconds, lambda: self.end(task, "TASK_KILLED", message))
        return None

    def end(self, task: Task, state: str, message: str) -> None:
        """Let a task be over, and give back what it held."""
        if task.ended:
            return
        self._cancel(task)
        agent = task.agent
        agent.used_cpus = max(0.0, round(agent.used_cpus - task.cpus, 6))
        agent.used_mem = max(0.0, round(agent.used_mem - task.mem, 6))
        agent.used_disk = max(0.0, round(agent.used_disk - task.disk, 6))
        agent.used_gpus = max(0.0, round(agent.used_gpus - task.gpus, 6))
        agent.used_ports -= set(task.ports)
        self.tasks.pop(task.id, None)
        self.ended.append(task)
        del self.ended[:-1000]
        task.message = message
        self.revision += 1
        self._now(task, state)
        self.want_offers()

    def partition(self, agent: Agent) -> None:
        """Lose the connection to an agent: its tasks live on unseen."""
        agent.presence = "partitioned"
        self.revision += 1
        for task in self.on(agent):
            if task.state != "TASK_KILLING":
                task.message = f"Agent {agent.hostname} is unreachable"
                self._now(task, "TASK_UNREACHABLE")

    def heal(self, agent: Agent) -> None:
        """Get a partitioned agent back, with the tasks that lived on."""
        agent.presence = "active"
        for task in self.on(agent):
            if task.state == "TASK_UNREACHABLE":
                task.message = ""
                self._now(task, "TASK_STAGING" if task.started_at is None else "TASK_RUNNING")
        self.changed()

    def lose(self, agent: Agent) -> None:
        """End an agent with all of its tasks: its machine is gone."""
        agent.presence = "gone"
        for task in self.on(agent):
            self.end(task, "TASK_GONE", f"Agent {agent.hostname} was lost")
        self.revision += 1

    def on(self, agent: Agent) -> list[Task]:
        """The tasks that an agent has."""
        return [task for task in self.tasks.values() if task.agent is agent]

    def _later(self, task: Task, seconds: float, do: Callable[[], None]) -> None:
        task.events.append(self.timeline.after(seconds, do))

    def later(self, task: Task, seconds: float, do: Callable[[], None]) -> None:
        """Let something happen in a task's life, unless it ends or is killed before."""
        self._later(task, seconds, do)

    @staticmethod
    def _cancel(task: Task) -> None:
        for event in task.events:
            event.cancel()
        task.events.clear()

    def _now(self, task: Task, state: str) -> None:
        task.state = state
        task.changed_at = self.now()
        for watcher in self.watchers:
            watcher(task)
        for framework in self.frameworks:
            if framework.name == task.framework:
                framework.updated(task)


def iso(seconds: float) -> str:
    """`2026-11-26T20:05:09.000Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
