"""The contracts' Chronos jobs: made, changed and (with `--prune`) deleted, and never started twice by it.

Whose a job is stands in `owner`; which text it was made from, as a hash, in `ownerName`. Comparing the
schedule itself would not do: Chronos moves its start forward with every run. What somebody changed by hand is
found by comparing everything else.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from constructs_lib.contracts.compiled import Compiled
from constructs_lib.contracts.schedule import from_now, in_words, interval_of, overdue_after, start_of
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.chronos import Chronos, Job
from constructs_lib.hooks.hook import NOT_PRUNED, Change, Verdict

OWNER: Final = "clustermesos"
_MOVING = ("schedule", "ownerName")
_OF_A_RESTORE = frozenset(("find", "restore", "undo", "load"))
"""Second words of names of jobs that no contract has: a restore makes them, and takes them away."""


def owner(cluster: str) -> str:
    """The `owner` of every job of a cluster: `clustermesos:demo`."""
    return f"{OWNER}:{cluster}"


def marked(cluster: str, job: Job) -> dict[str, Any]:
    """The job as it is sent: with its owner and the hash of its text."""
    plain = {**job, "owner": owner(cluster)}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:8]
    return {**plain, "ownerName": f"{job.get('ownerName', '')} {digest}".strip()}


@dataclass(frozen=True)
class State:
    """The jobs of this cluster that Chronos has, by name, and whose the others are."""

    ours: Mapping[str, Job]
    others: Mapping[str, str]


class Jobs:
    """The hook of Chronos jobs."""

    name = "jobs"

    def __init__(
        self,
        chronos: Chronos,
        compiled: Compiled,
        *,
        prune: bool = False,
        now: Callable[[], float] = time.time,
        restored: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """`now` is the platform's time, in seconds since 1970; it is asked where a job may be overdue.

        `restored` names the contracts whose restore may need its jobs; asked where there are such jobs.
        """
        self._chronos = chronos
        self._now = now
        self._restored = restored
        self._new: set[str] = set()
        self._refused: dict[str, str] = {}
        self._cluster = compiled.cluster
        self._wanted = {
            str(job["name"]): (contract.name, marked(compiled.cluster, job))
            for contract in compiled.contracts
            for job in contract.jobs
        }
        self._prune = prune

    def read(self) -> State:
        """One request."""
        jobs = {str(job.get("name")): job for job in self._chronos.jobs()}
        ours = {name: job for name, job in jobs.items() if job.get("owner") == owner(self._cluster)}
        others = {name: str(job.get("owner") or "nobody") for name, job in jobs.items() if name not in ours}
        return State(ours=ours, others=others)

    def diff(self, state: State) -> Sequence[Change]:
        """Parents before those that run after them; what nobody names last.

        A job that has the name of somebody else's is left alone, with the reason: Chronos would replace that
        one without a word. So is what runs after it.
        """
        return (*self._missing(state), *self._left_over(state))

    def _taken(self, name: str, state: State) -> str | None:
        """Why a job can't be made under its name; None where it can."""
        if name in state.others:
            return (
                f"Chronos has one of this name that belongs to {state.others[name]}, not to "
                f"{owner(self._cluster)}; rename the contract, or delete that job by hand"
            )
        parents = (str(one) for one in self._wanted[name][1].get("parents") or ())
        taken = next((one for one in parents if one in self._wanted and self._taken(one, state)), None)
        return f"it runs after {taken}, whose name somebody else's job has" if taken else None

    def _missing(self, state: State) -> Iterator[Change]:
        for name, (contract, job) in self._in_order():
            there = state.ours.get(name)
            if taken := self._taken(name, state):
                yield Change(kind="job", name=name, action="keep", contract=contract, details=(taken,))
            elif there is None:
                yield Change(kind="job", name=name, action="create", contract=contract, details=(_when(job),))
            elif details := tuple(_differences(there, job)):
                yield Change(kind="job", name=name, action="update", contract=contract, details=details)

    def _left_over(self, state: State) -> Iterator[Change]:
        left = sorted(state.ours.keys() - self._wanted.keys())
        restoring = [name for name in left if name.split(".")[1:2] and name.split(".")[1] in _OF_A_RESTORE]
        needed = set(self._restored()) if restoring and self._prune else set()
        for name in left:
            if name in restoring and name.partition(".")[0] in needed:
                why = "a restore that has not ended needs it"
                yield Change(kind="job", name=name, action="keep", details=(why,))
            elif self._prune:
                yield Change(kind="job", name=name, action="delete")
            else:
                yield Change(kind="job", name=name, action="keep", details=(NOT_PRUNED,))

    def _in_order(self) -> Iterator[tuple[str, tuple[str, Mapping[str, Any]]]]:
        """By name, parents first; the contracts' compiler lets no circle through."""
        left = dict(sorted(self._wanted.items()))
        while left:
            ready = [n for n, (_, job) in left.items() if not set(job.get("parents") or ()) & left.keys()]
            for name in ready or list(left):
                yield name, left.pop(name)

    def apply(self, state: State, changes: Sequence[Change], say: Callable[[str], None]) -> None:
        """Post and delete, one by one; each is whole, so a run that ends in between is gone on with.

        One that Chronos refuses keeps no other from being made, but those that run after it.
        """
        made = any(change.action in ("create", "update") for change in changes)
        now = datetime.fromtimestamp(self._now() if made else 0.0, UTC)
        for change in changes:
            if change.action == "delete":
                self._chronos.delete(change.name)
                say(f"job {change.name}: deleted")
            elif change.action in ("create", "update"):
                self._put(change.name, now)
                done = "made" if change.action == "create" else "changed"
                say(f"job {change.name}: {self._refused.get(change.name, done)}")

    def _put(self, name: str, now: datetime) -> None:
        job = self._wanted[name][1]
        parent = next((one for one in job.get("parents") or () if one in self._refused), None)
        if parent is not None:
            self._refused[name] = f"was not sent: it runs after {parent}, which was refused"
            return
        try:
            self._chronos.put(_from_now(job, now))
        except ApiError as error:
            if error.kind != "invalid":
                raise
            self._refused[name] = f"was refused: {error}"
        else:
            self._refused.pop(name, None)
            self._new.add(name)

    def verify(self, state: State) -> Sequence[Verdict]:
        """Each is as wanted, did not fail last and is not overdue, and a backup came back once."""
        there = [state.ours[name] for name in self._wanted.keys() & state.ours.keys()]
        # One question for all; none where nothing can be overdue.
        now = self._now() if any(job.get("lastSuccess") or _due(job) for job in there) else 0.0
        wanted = sorted(self._wanted.items())
        late = {name: self._late(name, state, now) for name in self._wanted}
        found = (self._verdict(name, job, state, late[name]) for name, (_, job) in wanted)
        return tuple(self._proved(one, state, now) for one in found)

    def _verdict(self, name: str, job: Job, state: State, late: str | None) -> Verdict:
        if taken := self._taken(name, state):
            return Verdict(kind="job", name=name, good=False, says=taken)
        if refused := self._refused.get(name):
            helps = "clustermesos apply"
            return Verdict(kind="job", name=name, good=False, says=refused, try_next=helps)
        return _verdict(name, job, state.ours.get(name), late)

    def _late(self, name: str, state: State, now: float) -> str | None:
        """How a job is overdue, in words; one that this run has made or changed is not."""
        there, clock = state.ours.get(name) or {}, self._clock(name)
        wanted, timed = self._wanted[name][1], self._wanted[clock][1]
        every = interval_of(str(timed.get("schedule")))
        if every is None or not self._new.isdisjoint((name, clock)):
            return None
        # What only tests or tidies up may miss one run.
        most = overdue_after(every) if name.split(".")[1:2] == ["backup"] else 2 * every
        last, due = _seconds(there.get("lastSuccess")), self._was_due(name, clock, state)
        told = f"last succeeded {there.get('lastSuccess')}"
        if last is None and due is not None:
            # As if it had succeeded one time earlier: what has never run has no more patience than others.
            last, told = due - every.total_seconds(), f"has not succeeded yet, and was due {_iso(due)}"
        if last is None or now - last <= most.total_seconds():
            return None
        when = _when(wanted) if name == clock else f"{_when(wanted)}, {_when(timed)}"
        return f"overdue: {told}, and it runs {when}"

    def _clock(self, name: str) -> str:
        """By whose schedule a job runs: its own, or that of the first that it runs after and that has one."""
        parents = self._wanted[name][1].get("parents") or ()
        known = (str(parent) for parent in parents if parent in self._wanted)
        return next((found for found in map(self._clock, known) if self._scheduled(found)), name)

    def _scheduled(self, name: str) -> bool:
        return bool(self._wanted[name][1].get("schedule"))

    @staticmethod
    def _was_due(name: str, clock: str, state: State) -> float | None:
        """When a job was to run that never succeeded; one that runs after another, at the success of that."""
        timed = state.ours.get(clock) or {}
        after = _seconds(timed.get("lastSuccess")) if name != clock else None
        return _due(timed) if after is None else after

    def _proved(self, verdict: Verdict, state: State, now: float) -> Verdict:
        """A backup is green only once it came back: by the restore test of the same data."""
        contract, _, rest = verdict.name.partition(".")
        word, dot, node = rest.partition(".")
        test = f"{contract}.restore-test{dot}{node}"
        if word != "backup" or not verdict.good or test not in self._wanted:
            return verdict
        there = state.ours.get(test) or {}
        if failed := _failed(there):
            says = f"{verdict.says}; its restore test {failed}"
            return replace(verdict, good=False, says=says, try_next=f"clustermesos backups {test}")
        if late := self._late(test, state, now):
            says = f"{verdict.says}; its restore test is {late}"
            return replace(verdict, good=False, says=says, try_next=f"clustermesos backups {test}")
        if proved := there.get("lastSuccess"):
            return replace(verdict, says=f"{verdict.says}; proved by a restore {proved}")
        return replace(verdict, says=f"{verdict.says}; no restore has proved it yet", sure=False)


def _verdict(name: str, job: Job, there: Job | None, late: str | None) -> Verdict:
    if there is None:
        helps = "clustermesos apply"
        return Verdict(kind="job", name=name, good=False, says="is not there", try_next=helps)
    if wrong := _failed(there) or late:
        return Verdict(kind="job", name=name, good=False, says=wrong, try_next=f"clustermesos backups {name}")
    ran = f"last succeeded {there['lastSuccess']}" if there.get("lastSuccess") else "has not run yet"
    return Verdict(kind="job", name=name, good=True, says=f"{_when(job)}; {ran}")


def _from_now(job: Job, now: datetime) -> Job:
    """The job with a start that is to come; one that runs after others has none."""
    return {**job, "schedule": from_now(str(job["schedule"]), now)} if job.get("schedule") else job


def _due(there: Job) -> float | None:
    """When Chronos means to start it next, which is in the past where it has not been able to."""
    start = start_of(str(there.get("schedule")))
    return start.timestamp() if start else None


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(told: object) -> float | None:
    """Since 1970, of a time as Chronos tells it; None where it tells none."""
    try:
        found = datetime.fromisoformat(str(told).replace("Z", "+00:00")) if told else None
    except ValueError:
        return None
    if found is None:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _failed(there: Job) -> str | None:
    """How often it failed since it last succeeded, in words; None where its last run did not fail."""
    if not (failed := int(there.get("errorsSinceLastSuccess") or 0)):
        return None
    often = "once" if failed == 1 else f"{failed} times"
    before = there.get("lastSuccess")
    since = f"since it last succeeded, {before}" if before else "and never succeeded"
    return f"failed {often} {since}; last at {there.get('lastError') or 'some time'}"


def _when(job: Job) -> str:
    return f"after {', '.join(job['parents'])}" if job.get("parents") else in_words(str(job.get("schedule")))


def _differences(there: Job, wanted: Job) -> Iterator[str]:
    if str(there.get("ownerName", "")).split()[-1:] != str(wanted["ownerName"]).split()[-1:]:
        yield "its contract has changed"
    for key in sorted(wanted.keys() - set(_MOVING)):
        if not _same(there.get(key), wanted[key]):
            # What it was may hold anything: the command of a backup is shown, an environment is not.
            shown = "" if key == "environmentVariables" else f": {there.get(key)!r} → {wanted[key]!r}"
            yield f"{key}{shown}"


def _same(there: Any, wanted: Any) -> bool:
    """Whether Chronos has what was sent: it fills objects up with defaults, and makes all numbers floats."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(_same(there.get(key), one) for key, one in wanted.items())
    if isinstance(wanted, list | tuple):
        alike = isinstance(there, list | tuple) and len(there) == len(wanted)
        return alike and all(_same(a, b) for a, b in zip(there, wanted, strict=True))
    return bool(there == wanted)
