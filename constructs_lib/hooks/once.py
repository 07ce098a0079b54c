"""A job of Chronos that is started once, watched to its end, and made to end where it did not by itself.

What stood still for a job must not start beside it. Whoever waited for the job may be gone first (Ctrl-C, no
time left, a silent Chronos), so its last task is waited for too; and Mesos knows of tasks what Chronos, which
forgets a job with its deletion, does not tell. A new leader of the Mesos masters knows nothing of tasks until
their agents have registered, and never of those that had ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from constructs_lib.errors import HookError
from constructs_lib.hooks import checks
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.chronos import Job
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.jobs import marked, owner
from constructs_lib.hooks.mesos import Memory, Mesos
from constructs_lib.hooks.platform import Platform

Say = Callable[[str], None]
Task = Mapping[str, Any]
RESERVE_SECONDS: Final = 60.0
"""What is left of the run's time for cleaning up, whatever a job did with the rest."""
UNTOUCHED: Final = "nothing was changed"
_ASK_SECONDS = 15.0
_SILENT_SECONDS = 180.0
"""How long Chronos may be silent while a job runs: an election takes less, and the job runs on meanwhile."""
_END_SECONDS = 120.0
_PAUSE = 2.0
_REMIND = 30.0
_ENDED: Final = frozenset(
    ("TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_DROPPED", "TASK_GONE")
)
_LOG = "its words are in its sandbox, on the Mesos master's page of the task (docs/mesos.md, Consoles)"


def afresh(platform: Platform, seconds: float) -> Platform:
    """The same platform with so long from now on, whatever became of the run's own time."""
    deadline = Deadline(seconds, platform.deadline.clock)
    return Platform(platform.plan, platform.endpoints, deadline, platform.tokens, login=platform.login)


class NotEndedError(HookError):
    """The job did not end by itself within its time, or nobody could be asked."""


@dataclass(kw_only=True)
class Once:
    """One run of one job, after `ready`; `launched`, `gone` and `finished` say afterwards how things are."""

    platform: Platform
    cluster: str
    job: Job
    say: Say
    launched: bool = field(default=False, init=False)
    """Whether a task of it was ever there; also where nobody could be asked, or remembers."""
    gone: bool = field(default=False, init=False)
    """Whether nothing of it runs any longer, or will."""
    finished: bool = field(default=False, init=False)
    remembered: bool = field(default=False, init=False)
    """Whether it is known how its last task ended, if there was any."""
    _former: frozenset[str] = field(default=frozenset(), init=False)
    _memory: Memory | None = field(default=None, init=False)
    """The master's, from before the run."""

    @property
    def name(self) -> str:
        """The job's."""
        return str(self.job["name"])

    def ready(self, deadline: Deadline) -> None:
        """Chronos can start it, and no former run is left; HookError, and then nothing was changed."""
        try:
            with afresh(self.platform, min(_ASK_SECONDS, deadline.left)) as asked:
                there = self._asked(asked)
            if not self._without_tasks(deadline):
                raise HookError(f"{self.name}: a former run of it has not ended, or nobody knows that it has")
            with afresh(self.platform, min(_SILENT_SECONDS, deadline.left)) as bounded:
                if there is not None:
                    bounded.chronos.delete(self.name)
                self._memory = bounded.mesos.memory()
                self._former = frozenset(str(one.get("id")) for one in self._tasks(bounded.mesos)[1])
        except HookError as error:
            raise HookError(f"{error}; {UNTOUCHED}") from error

    def withdraw(self) -> bool:
        """Delete a run that nobody waits for, before it begins; whether there was one.

        HookError where a task of it may run, or ran meanwhile.
        """
        with afresh(self.platform, RESERVE_SECONDS) as asked:
            self._former = frozenset(str(one.get("id")) for one in self._tasks(asked.mesos)[1])
        over = Deadline(0.0, self.platform.deadline.clock)
        if waits := self._may_run(over):
            raise HookError(f"{self.name}: one has to wait for {waits}")
        with afresh(self.platform, RESERVE_SECONDS) as bounded:
            there = _job(bounded.chronos.jobs(), self.name)
            if there is None or there.get("owner") != owner(self.cluster):
                return False
            bounded.chronos.delete(self.name)
            # What Chronos has just launched the master may not have yet.
            bounded.deadline.sleep(_PAUSE)
            if self._may_run(over) or self._tasks(bounded.mesos)[1]:
                raise HookError(f"{self.name}: began in this moment, and was ended")
        return True

    def _asked(self, platform: Platform) -> Job | None:
        """The job that a former run may have left; HookError where none can be started."""
        found = checks.chronos(platform.endpoints, platform.expected, platform.deadline)
        if not found.good:
            hint = f" (next: {found.try_next})" if found.try_next else ""
            raise HookError(f"chronos: {found.says}{hint}")
        there = _job(platform.chronos.jobs(), self.name)
        if there is not None and there.get("owner") != owner(self.cluster):
            raise HookError(
                f"job {self.name}: Chronos has one of this name that belongs to {there.get('owner')}, not to "
                f"{owner(self.cluster)}"
            )
        return there

    def run(self, deadline: Deadline) -> None:
        """Start it and wait for a good end; HookError where it failed, NotEndedError where nobody knows.

        Whatever ends this early, the job is deleted and its last task waited for.
        """
        self.launched, self.gone, self.finished, self.remembered = True, False, False, False
        try:
            with afresh(self.platform, min(_SILENT_SECONDS, deadline.left)) as bounded:
                self._start(bounded)
            self._wait(deadline)
        except HookError:
            self._end()
            if not self.finished:
                raise
        except BaseException:
            self.say(f"{self.name}: is ended, and waited for; a second interruption leaves it")
            self._end()
            raise
        else:
            self.gone = self.finished = self.remembered = True
            self._end()
        self.say(f"{self.name}: done")

    def _start(self, platform: Platform) -> None:
        chronos = platform.chronos
        try:
            job = {**self.job, "schedule": "R1//PT1H", "retries": 0}
            chronos.put(marked(self.cluster, job), repeatable=False)
        except ApiError:
            # It may have been carried out, and would run twice were it said again.
            if _job(chronos.jobs(), self.name) is None:
                raise
        self.say(f"{self.name}: started")

    def _wait(self, deadline: Deadline) -> None:
        reminded = heard = deadline.left
        while True:
            try:
                with afresh(self.platform, min(_ASK_SECONDS, deadline.left)) as asked:
                    job = _job(asked.chronos.jobs(), self.name)
                heard = deadline.left
            except ApiError as error:
                since = heard - deadline.left
                if since >= _SILENT_SECONDS or (deadline.over and since > _ASK_SECONDS):
                    raise NotEndedError(f"{self.name}: nobody knows how it ended: {error}") from None
            else:
                if self._ended_well(job):
                    return
            if deadline.over:
                raise NotEndedError(
                    f"{self.name}: has not ended in time; is there an agent for it? clustermesos status"
                )
            if reminded - deadline.left >= _REMIND:
                reminded = deadline.left
                silent = "Chronos is silent, it " if heard > deadline.left + _REMIND / 2 else ""
                self.say(f"{self.name}: {silent}runs, or waits for an agent ({deadline.left:.0f} s left)")
            deadline.sleep(_PAUSE)

    def _ended_well(self, job: Job | None) -> bool:
        if job is None:
            raise NotEndedError(f"{self.name}: somebody deleted the job while it ran")
        if int(job.get("errorCount") or 0):
            raise HookError(f"{self.name}: failed ({_LOG})")
        return bool(int(job.get("successCount") or 0))

    def _end(self) -> None:
        """Delete it, and wait for its last task, for as long as that may take."""
        if not self.finished and self._succeeded():
            self.gone = self.finished = self.remembered = True
        deleted = self._deleted()
        if self.finished:
            return
        try:
            deadline = Deadline(_END_SECONDS, self.platform.deadline.clock)
            # What Chronos has just launched the master may not have yet.
            deadline.sleep(_PAUSE)
            without = self._without_tasks(deadline)
            with afresh(self.platform, RESERVE_SECONDS) as platform:
                ended = self._tasks(platform.mesos)[1]
                # After what it is to vouch for.
                same = self._memory is not None and platform.mesos.memory().goes_on_from(self._memory)
        except HookError as error:
            self.say(f"{self.name}: nobody knows whether a task of it still runs: {error}")
            return
        # While it is still in Chronos, a job of one run will run where it never has.
        self.remembered = bool(ended) or same
        self.launched = bool(ended) or not (without and deleted and same)
        self.gone = without and (deleted or bool(ended))
        self.finished = without and any(one.get("state") == "TASK_FINISHED" for one in ended)

    def _succeeded(self) -> bool:
        """By Chronos' word, which it takes with the job: Mesos may forget the task."""
        try:
            with afresh(self.platform, _ASK_SECONDS) as platform:
                job = _job(platform.chronos.jobs(), self.name)
        except HookError:
            return False
        return bool(int((job or {}).get("successCount") or 0))

    def _deleted(self) -> bool:
        try:
            with afresh(self.platform, RESERVE_SECONDS) as platform:
                platform.chronos.delete(self.name)
        except HookError as error:
            ran = ", which has run and will not again," if self.finished else ""
            self.say(f"{self.name}: the job{ran} could not be deleted: {error}")
            return False
        return True

    def _without_tasks(self, deadline: Deadline) -> bool:
        """Wait until none of its tasks is left; False where one still is at the deadline."""
        told: set[str] = set()
        while waits := self._may_run(deadline):
            if deadline.over:
                return False
            if waits not in told:
                self.say(f"{self.name}: waits for {waits}")
                told.add(waits)
            deadline.sleep(_PAUSE)
        return True

    def _may_run(self, deadline: Deadline) -> str | None:
        """What has to happen before none of its tasks is left; None where that is so."""
        with afresh(self.platform, min(_SILENT_SECONDS, max(deadline.left, _ASK_SECONDS))) as platform:
            before = platform.mesos.memory()
            running = self._tasks(platform.mesos)[0]
            memory = platform.mesos.memory()
        if running:
            return f"its task {running[0].get('id')} to end"
        if memory.is_whole_since(before):
            return None
        agents = f"agents {', '.join(memory.awaited)}" if memory.awaited else "agents"
        return f"{agents} to register at the new Mesos master, which does not know yet what runs there"

    def _tasks(self, mesos: Mesos) -> tuple[list[Task], list[Task]]:
        """Its tasks that may run, and those of this run that have ended, as the master knows them."""
        frameworks = mesos.frameworks()
        there, lost, over = (
            [task for one in frameworks for task in one.get(kind) or () if _job_of(task) == self.name]
            for kind in ("tasks", "unreachable_tasks", "completed_tasks")
        )
        running = [*(task for task in there if task.get("state") not in _ENDED), *lost]
        ended = [*(task for task in there if task.get("state") in _ENDED), *over]
        return running, [task for task in ended if task.get("id") not in self._former]


def _job(jobs: Sequence[Job], name: str) -> Job | None:
    return next((one for one in jobs if one.get("name") == name), None)


def _job_of(task: Task) -> str:
    """Of an id as Chronos gives them, `ct:DUE:ATTEMPT:JOB:ARGUMENTS`; empty of any other."""
    return "".join(str(task.get("id")).split(":")[3:4])
