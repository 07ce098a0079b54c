"""Chronos' scheduler over the simulated world: jobs run when they are due, fail, and are tried again."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from constructs_lib.simulator.cluster.agents import Agent
from constructs_lib.simulator.cluster.commands import Commands
from constructs_lib.simulator.cluster.jobs import JobState, Run, made
from constructs_lib.simulator.cluster.timeline import HandClock
from constructs_lib.simulator.cluster.world import Task, World
from constructs_lib.simulator.job_rules import Job, check_job, known_job
from constructs_lib.simulator.schedules import Schedule, parse_schedule

RETRY_SECONDS: Final = 60.0
"""`--failure_retry`."""
_ROUNDED = 0.001
"""Seconds by which a clock's float may be off."""


class Chronos:
    """The scheduler. Everything here is called with the timeline's lock held."""

    name = "chronos"

    def __init__(self, world: World, commands: Commands | None = None) -> None:
        self.world = world
        self.framework_id = f"{world.id}-0001"
        self.jobs: dict[str, JobState] = {}
        self.frozen = False
        self._commands = commands
        self._waiting: dict[str, JobState] = {}
        """The jobs that wait for an offer, by name, in their order."""

    # What the API asks for.

    def put(self, job: Any, *, scheduled: bool) -> None:
        """Create or replace a job; BadRequestError, OSError."""
        now = datetime.fromtimestamp(self.world.now(), UTC)
        kept = check_job(job, scheduled=scheduled, known=self._fields(), now=now)
        schedule = self.schedule_of(kept) if scheduled else None
        before = self.jobs.get(kept["name"])
        if before is not None and before.due is not None:
            before.due.cancel()
        state = made(kept, schedule, before)
        if before is not None:
            state.running = before.running
        self.jobs[state.name] = state
        self._plan(state)

    def get(self, name: str) -> JobState:
        """The job of this name; BadRequestError."""
        known_job(self._fields(), name)
        return self.jobs[name]

    def run(self, name: str, arguments: str = "") -> None:
        """Start a job now, besides its schedule; BadRequestError."""
        state = self.get(name)
        if arguments:
            state.fields["arguments"] = arguments.split()
        self._queue(state, 0)

    def succeed(self, name: str) -> None:
        """Call a job successful by hand; BadRequestError."""
        state = self.get(name)
        state.succeeded(self.world.now())
        self._tell_children(state)

    def delete(self, name: str) -> None:
        """Delete a job and end its tasks; BadRequestError."""
        state = self.get(name)
        self.kill(name)
        if state.due is not None:
            state.due.cancel()
        del self.jobs[name]
        for other in self.jobs.values():
            if name in other.parents:
                other.fields["parents"] = sorted(other.parents - {name})

    def kill(self, name: str) -> None:
        """End the tasks of a job; BadRequestError."""
        state = self.get(name)
        state.waiting.clear()
        for task in list(state.running.values()):
            self.world.kill(task)

    def _fields(self) -> dict[str, Job]:
        return {name: state.fields for name, state in self.jobs.items()}

    def adopt(self, state: JobState, waiting: Sequence[int]) -> None:
        """Take up a job of former times, with the attempts that waited or ran."""
        self.jobs[state.name] = state
        self._plan(state)
        for attempt in waiting:
            self._queue(state, attempt)

    def schedule_of(self, fields: Job) -> Schedule:
        """When a job is due, from now on."""
        now = datetime.fromtimestamp(self.world.now(), UTC)
        return parse_schedule(fields["schedule"], now, fields.get("scheduleTimeZone")).from_now(now)

    # Time.

    def _plan(self, state: JobState) -> None:
        schedule = state.schedule
        if schedule is None or schedule.times == 0 or state.fields["disabled"]:
            return
        seconds = schedule.start.timestamp() - self.world.now()
        state.due = self.world.timeline.after(seconds, lambda: self._is_due(state))

    def _is_due(self, state: JobState) -> None:
        state.due = None
        if self.jobs.get(state.name) is not state or state.schedule is None:
            return
        if not state.busy or state.fields["concurrent"]:
            self._queue(state, 0)
        else:
            self._move_on(state)

    def _move_on(self, state: JobState) -> None:
        """From a start that is past to the next one: as a task is launched, not as it falls due."""
        schedule, now = state.schedule, self.world.now()
        if schedule is None or schedule.times == 0 or schedule.start.timestamp() > now + _ROUNDED:
            return
        state.schedule = schedule.next().from_now(datetime.fromtimestamp(now, UTC))
        state.fields["schedule"] = str(state.schedule)
        if not state.schedule.months and not state.schedule.seconds:
            state.schedule = None
            return
        self._plan(state)

    def _queue(self, state: JobState, attempt: int) -> None:
        if self.jobs.get(state.name) is state:
            state.waiting.append(attempt)
            self._waiting[state.name] = state
            self.world.want_offers()

    def _retry(self, state: JobState, attempt: int) -> None:
        state.retrying -= 1
        self._queue(state, attempt)

    # What the world says.

    def wants_offers(self) -> bool:
        """Whether a job waits."""
        return bool(self._waiting)

    def offered(self, agents: Sequence[Agent]) -> None:
        """Launch what fits."""
        for name, state in list(self._waiting.items()):
            if self.jobs.get(name) is not state:
                self._waiting.pop(name)
                continue
            for attempt in list(state.waiting):
                agent = next((one for one in agents if _fits(state.fields, one)), None)
                if agent is None:
                    break
                state.waiting.remove(attempt)
                self._launch(state, agent, attempt)
            if not state.waiting:
                self._waiting.pop(name)

    def _launch(self, state: JobState, agent: Agent, attempt: int) -> None:
        fields = state.fields
        due = int(self.world.now() * 1000)
        base = f"ct:{due}:{attempt}:{state.name}:{' '.join(fields.get('arguments') or [])}"
        # Two of one moment would have one id.
        id = base if base not in self.world.tasks else f"{base}{len(self.world.tasks)}"
        task = Task(
            id=id,
            framework=self.name,
            owner=state.name,
            version=str(attempt),
            agent=agent,
            profile=self.world.profiles.of(state.name),
            cpus=float(fields["cpus"]),
            mem=float(fields["mem"]),
            disk=float(fields["disk"]),
            ends_by_itself=self._commands is None,
            spec=dict(fields),
        )
        state.running[task.id] = task
        if state.due is None:
            self._move_on(state)
        self.world.launch(task)

    def updated(self, task: Task) -> None:
        """A task changed: run its command, or count what became of it."""
        state = self.jobs.get(task.owner)
        if task.state == "TASK_RUNNING" and self._commands is not None:
            self._execute(task, self._commands)
        if not task.ended or state is None:
            return
        state.running.pop(task.id, None)
        attempt, now = int(task.version), self.world.now()
        state.ran(
            Run(
                task=task.id,
                host=task.agent.hostname,
                agent=task.agent.id,
                state=task.state,
                began=task.started_at or task.staged_at,
                ended=now,
                attempt=attempt,
                message=task.message,
                output=str(task.spec.get("output", "")),
            )
        )
        if task.state == "TASK_FINISHED" or (state.fields.get("softError") and task.state == "TASK_FAILED"):
            self._finished(state, soft=task.state != "TASK_FINISHED", now=now)
        elif task.state != "TASK_KILLED":
            self._failed(state, attempt, now)

    def _finished(self, state: JobState, *, soft: bool, now: float) -> None:
        if soft:
            state.failed(now)
        else:
            state.succeeded(now)
        self._exhaust(state)
        self._tell_children(state)

    def _exhaust(self, state: JobState) -> None:
        """A job whose last repetition has run is disabled."""
        schedule = state.schedule
        if "schedule" in state.fields and (schedule is None or schedule.times == 0):
            state.fields["disabled"] = True

    def _failed(self, state: JobState, attempt: int, now: float) -> None:
        # One that failed lately, and did not succeed since, is not tried again.
        if attempt < state.fields["retries"] and state.status != "failure":
            state.retrying += 1
            self.world.timeline.after(RETRY_SECONDS, lambda: self._retry(state, attempt + 1))
            return
        state.failed(now)
        self._exhaust(state)
        if 0 < state.fields.get("disableAfterFailures", 0) <= state.fields["errorsSinceLastSuccess"]:
            state.fields["disabled"] = True

    def _tell_children(self, state: JobState) -> None:
        for child in self.jobs.values():
            if state.name not in child.parents:
                continue
            child.done_parents.add(state.name)
            if child.done_parents >= child.parents:
                child.done_parents.clear()
                if not child.fields["disabled"]:
                    self._queue(child, 0)

    def _execute(self, task: Task, commands: Commands) -> None:
        if isinstance(self.world.timeline.clock, HandClock):
            self.world.timeline.after(0, lambda: self._end(task, *commands.run(task.spec)))
            return

        def work() -> None:
            code, output = commands.run(task.spec)
            with self.world.timeline.lock:
                self._end(task, code, output)

        threading.Thread(target=work, name=task.owner, daemon=True).start()

    def _end(self, task: Task, code: int, output: str) -> None:
        task.spec["output"] = output
        self.world.exit(task, code)


def _fits(job: Job, agent: Agent) -> bool:
    free = agent.free()
    roomy = all(free[name] + 1e-9 >= job[name] for name in ("cpus", "mem", "disk"))
    return roomy and all(_allowed(constraint, agent) for constraint in job.get("constraints", []))


def _allowed(constraint: Sequence[str], agent: Agent) -> bool:
    name, operator, wanted = constraint[0], constraint[1], constraint[2] if len(constraint) > 2 else ""
    value = agent.value(name)
    if operator == "EQUALS":
        return value == wanted
    found = value is not None and re.fullmatch(wanted, value) is not None
    return found if operator == "LIKE" else not found
