"""Puts a snapshot back: the application stops, a job restores, the application starts, a dump is loaded.

A run that is stopped anywhere leaves the data whole, or is undone by the next (contracts/scripts/restore.sh).
The application is started again only where its data is known to be whole and no task of the job is left: else
it stays at none of its instances, and the command says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.errors import HookError, UnknownNameError
from constructs_lib.hooks.acting import cut_short
from constructs_lib.hooks.apart import Restore, RestoreLease, restore_command, unlock
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.chronos import Job
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.documents import Documents
from constructs_lib.hooks.edge import PlannedEdges
from constructs_lib.hooks.emptying import Emptying
from constructs_lib.hooks.once import RESERVE_SECONDS, UNTOUCHED, Once, Say, afresh
from constructs_lib.hooks.ours import by_contract
from constructs_lib.hooks.platform import Platform

_PAUSE = 2.0
_STOP_SECONDS = 300.0
_UNDO_SECONDS = 180.0
_GIVE_BACK_SECONDS = 30.0
_AFTERWARDS_SECONDS = 3600.0
_START_SECONDS = 180.0
"""How long Marathon, or Consul, may be silent: an election takes less."""
_ASK_SECONDS = 60.0
"""How long Consul may be silent where it is asked whether nobody else is there."""
_BACK = "the snapshot is back"
_UNDONE = "what was there before is there again, unless all of it had been replaced already"
_EITHER = (
    "its data is whole, and either the snapshot or what was there before: the Mesos master that knew how the "
    "restore ended no longer leads"
)
_NOT_STARTED = "no instance of it ran before, so none was started; next: clustermesos apply"
_NOT_LOADED = "the dump is back beside the volume, but was not loaded"
_HALF_LOADED = f"{_NOT_LOADED}, or not whole: restore again"


def unlock_after_restore(platform: Platform, contract: CompiledContract, say: Say) -> Restore:
    """Let others start it on somebody's word; HookError where nothing is locked, or a job may run.

    A job that a killed restore left in Chronos would run beside the application, and is deleted.
    """
    if platform.home not in platform.consuls:
        raise HookError("restores are kept apart by Consul, and there is none here: nothing is locked")

    def withdraw() -> None:
        for job in contract.restores:
            for one in (job, only(job, "undo")):
                once = Once(platform=platform, cluster=contract.cluster, job=one, say=say)
                try:
                    if once.withdraw():
                        say(f"{once.name}: was left in Chronos, and is deleted, so that it does not run")
                except HookError as error:
                    raise HookError(
                        f"{contract.name} stays locked: {error}; it may be moving files, or have moved some; "
                        f"next: {restore_command(contract.name, node_of(job))}, which waits for its end"
                    ) from error

    return unlock(platform.consuls[platform.home], contract.name, withdraw)


def contract_of(compiled: Compiled, name: str) -> CompiledContract:
    """The contract called `name`; UnknownNameError with those that there are."""
    found = compiled.contract(name)
    if found is None:
        raise UnknownNameError("contract", name, (one.name for one in compiled.contracts))
    return found


def restore(
    platform: Platform, compiled: Compiled, name: str, *, snapshot: str, node: str | None, say: Say
) -> str:
    """Restore the contract's data, and say what was done; HookError where it was not.

    `snapshot` is an id of restic's or latest; `node` the agent's address where several have data of their
    own.
    """
    contract = contract_of(compiled, name)
    first, *loads = _jobs(contract, node)
    restoring = _Restoring(platform=platform, contract=contract, job=with_snapshot(first, snapshot), say=say)
    with _alone(platform, restoring, say):
        restoring.ready()
        with _stopped(platform, compiled, restoring, say) if contract.stops_to_restore else nullcontext():
            restoring.run()
        for job in loads:
            restoring.alone_to_load()
            run_job(platform, compiled.cluster, job, say, after=_HALF_LOADED)
    loaded = ", and loaded" if loads else ""
    stopped = "" if restoring.started else f"; {_NOT_STARTED}"
    return f"{name}: snapshot {snapshot} is back{loaded}{stopped}"


def _jobs(contract: CompiledContract, node: str | None) -> Iterator[Job]:
    """The restore of one node, then its load."""
    if not contract.restores:
        raise HookError(
            f"{contract.name}: its contract has no backup (ops.backup), so there is nothing to restore"
        )
    words = node.replace(".", "-") if node else None
    mine = [job for job in contract.restores if words is None or str(job["name"]).endswith(f".{words}")]
    found = [job for job in mine if str(job["name"]).split(".")[1] == "restore"]
    if len(found) != 1:
        nodes = sorted({node_of(job) for job in contract.restores} - {""})
        expected = f"one of {', '.join(nodes)}" if nodes else "no node, since its data is in one place alone"
        raise HookError(f"{contract.name}: --node: got {node}, expected {expected}")
    yield found[0]
    yield from (job for job in mine if job is not found[0])


def node_of(job: Job) -> str:
    """The agent's address where several have data of their own, by the job's name; else empty."""
    return "".join(str(job["name"]).split(".", 2)[2:]).replace("-", ".")


def _environment(job: Job) -> Mapping[str, str]:
    return {str(one["name"]): str(one["value"]) for one in job["environmentVariables"]}


def with_snapshot(job: Job, snapshot: str) -> dict[str, Any]:
    """The job that restores this one."""
    environment = {**_environment(job), "SNAPSHOT": snapshot}
    return {**job, "environmentVariables": _listed(environment)}


def _listed(environment: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in sorted(environment.items())]


@dataclass(kw_only=True)
class _Restoring:
    """The job that restores, and how the data is: `whole` while nothing has begun, and once it has ended."""

    platform: Platform
    contract: CompiledContract
    job: Job
    say: Say
    whole: bool = True
    mended: bool = False
    """Whether it is whole by what this restore did, however it was before."""
    lease: RestoreLease | None = None
    started: bool = True
    """Whether the application was started again; none of it may have run before."""
    left_to_others: bool = False
    """Whether it was cut off for so long that somebody else may be at the data by now."""

    def __post_init__(self) -> None:
        self._find = self._once("find")
        self._restore = self._once("restore")
        self._undo = self._once("undo")

    def _once(self, word: str) -> Once:
        """The job itself, or one that does a part of it alone under a name of its own."""
        job = self.job if word == "restore" else only(self.job, word)
        return Once(platform=self.platform, cluster=self.contract.cluster, job=job, say=self.say)

    def ready(self) -> None:
        """Before anything is stopped: Chronos can start a job, none of a former one runs, and it is found.

        An agent looks for the snapshot, so that a repository, password or agent that there is not, or an id
        that was mistyped, stops no application.
        """
        for once in (self._find, self._restore, self._undo):
            once.ready(_without_reserve(self.platform))
        try:
            self._find.run(_without_reserve(self.platform))
            self.still_alone()
        except HookError as error:
            raise HookError(f"{error}; {UNTOUCHED}") from error

    def still_alone(self) -> None:
        """HookError where somebody else may be at it by now; nothing more is to be done to it then."""
        if self.lease is None:
            return
        try:
            with afresh(self.platform, _ASK_SECONDS) as asked:
                self.lease.still(asked.consuls[asked.home])
        except ApiError:
            raise
        except HookError:
            self.left_to_others = True
            raise

    def alone_to_load(self) -> None:
        """HookError where a dump that is back must not be loaded: somebody else may be, or nobody says."""
        try:
            self.still_alone()
        except HookError as error:
            then = "" if self.left_to_others else ": restore again"
            raise HookError(f"{error}; {_NOT_LOADED}{then}") from error

    def run(self) -> None:
        """Restore; HookError with how the data is where that failed."""
        try:
            self.still_alone()
        except HookError as error:
            raise HookError(f"{error}; {UNTOUCHED}") from error
        self.whole = False
        try:
            self._restore.run(_without_reserve(self.platform))
        except HookError as error:
            raise HookError(f"{error}; {self._undone()}") from error
        except BaseException:
            self.say(f"{self.contract.name}: {self._undone()}")
            raise
        self.whole = self.mended = True

    def _undone(self) -> str:
        """Undo what the job may have left half done; how the data is then, in words."""
        if self._restore.finished or not self._restore.launched:
            self.whole, self.mended = True, self._restore.finished
            return _BACK if self._restore.finished else UNTOUCHED
        try:
            if self._restore.gone:
                self._undo.run(Deadline(_UNDO_SECONDS, self.platform.deadline.clock))
                self.whole = self.mended = True
                return _UNDONE if self._restore.remembered else _EITHER
        except HookError as error:
            self.say(str(error))
        name = self.contract.name
        if self.contract.stops_to_restore:
            stays, then = ", so it stays stopped", ", and then clustermesos apply"
        else:
            stays, then = "", ""
        return (
            f"nobody knows whether its data is whole{stays}; next: "
            f"{restore_command(name, node_of(self.job))}, which begins by undoing what is half done{then}"
        )


def only(job: Job, word: str) -> dict[str, Any]:
    """The job that does this part alone (contracts/scripts/restore.sh), such as `db.undo`."""
    contract, _, *node = str(job["name"]).split(".")
    name = ".".join((contract, word, *node))
    environment = {**_environment(job), "ONLY": word, "JOB": name}
    return {**job, "name": name, "environmentVariables": _listed(environment)}


@contextmanager
def _alone(platform: Platform, restoring: _Restoring, say: Say) -> Iterator[None]:
    """Nothing else starts the application, however long it takes; also afterwards, unless it is whole."""
    if platform.home not in platform.consuls:
        yield
        return
    contract = restoring.contract
    lease = RestoreLease(contract.name, stays=contract.stops_to_restore, node=node_of(restoring.job))
    try:
        with _briefly(platform) as asked:
            lease.take(asked.consuls[platform.home])
    except HookError as error:
        raise HookError(f"{error}; {UNTOUCHED}") from error
    restoring.lease = lease
    try:
        # It may last longer than the run: what is half done is ended and undone in time of its own.
        seconds = platform.deadline.left + _AFTERWARDS_SECONDS
        with afresh(platform, seconds) as again, _kept(lease, again):
            yield
    finally:
        whole = not contract.stops_to_restore or restoring.mended or (restoring.whole and not lease.left)
        try:
            with afresh(platform, _GIVE_BACK_SECONDS) as again:
                lease.end(again.consuls[platform.home], whole=whole)
        except HookError as error:
            then = f"; then: clustermesos restore {contract.name} --force-unlock" if whole else ""
            say(f"{contract.name}: others are kept away from it for now: {error}{then}")


def _kept(lease: RestoreLease, platform: Platform) -> AbstractContextManager[None]:
    another = platform.another_consul()
    return lease.kept(another) if another is not None else nullcontext()


def _briefly(platform: Platform) -> Platform:
    """For one question, which is not to take all of the run's time."""
    return afresh(platform, min(_START_SECONDS, _without_reserve(platform).left))


def _without_reserve(platform: Platform) -> Deadline:
    return platform.deadline.within(max(0.0, platform.deadline.left - RESERVE_SECONDS))


@contextmanager
def _stopped(platform: Platform, compiled: Compiled, restoring: _Restoring, say: Say) -> Iterator[None]:
    """Every version stands still: two programs must not write the same files."""
    contract = restoring.contract
    with _briefly(platform) as asked:
        there = by_contract(asked.marathon.apps(), compiled.cluster).get(contract.name, {})
    running = {str(app["id"]): int(app["instances"]) for app in there.values() if app.get("instances")}

    def start() -> None:
        if not running:
            return
        stays = f"{', '.join(running)}: stays stopped"
        if not restoring.whole or restoring.left_to_others:
            say(stays)
            return
        try:
            restoring.still_alone()
        except ApiError as error:
            # Who is silent lets nobody else in, either.
            say(f"{contract.name}: is started, though nobody knows who else restores it by now: {error}")
        except HookError as error:
            raise HookError(f"{error}; {stays}") from error
        _start(platform, running, say)

    with _out_of_route(platform, restoring, running, say) as cut, _in_the_end(start, say):
        _stop(platform, contract, running, cut, say)
        yield
    restoring.started = bool(running)


@contextmanager
def _in_the_end(do: Callable[[], None], say: Say) -> Iterator[None]:
    """`do` it, whatever happens; its own trouble is told beside what happened and never in its place."""
    try:
        yield
    except BaseException as error:
        try:
            do()
        except HookError as trouble:
            if isinstance(error, HookError):
                raise HookError(f"{error}; {trouble}") from error
            say(str(trouble))
        raise
    do()


def _start(platform: Platform, running: Mapping[str, int], say: Say) -> None:
    """Each version for itself; HookError with those that were not started."""
    troubles = []
    for id, number in running.items():
        try:
            with afresh(platform, _START_SECONDS) as again:
                again.marathon.scale(id, number, force=True)
            say(f"{id}: {number} instance{'' if number == 1 else 's'} again")
        except HookError as error:
            troubles.append(f"{id} was not started again: {error}")
    if troubles:
        raise HookError(f"{'; '.join(troubles)}; next: clustermesos apply")


@contextmanager
def _out_of_route(
    platform: Platform, restoring: _Restoring, running: Mapping[str, int], say: Say
) -> Iterator[int]:
    """No edge sends anybody there, or still answers a request; how many connections stopping it all cuts."""
    before, contract = None, restoring.contract
    if running and contract.route and platform.consuls:
        with _briefly(platform) as asked:
            before = _emptying(asked).documents.of(contract.name).route
    if before is None:
        yield 0
        return
    shares = {id.rpartition("/")[2]: number for id, number in running.items()}
    # Without shares a restore that ended before its end has left it.
    filled = replace(before, weights=before.weights or shares)

    def refill() -> None:
        if restoring.left_to_others:
            return
        with afresh(platform, _START_SECONDS) as again:
            if _emptying(again).refill(filled):
                say(f"route of {contract.name}: as it was before")

    with _in_the_end(refill, say):
        yield _emptied(platform, contract, say)


def _emptied(platform: Platform, contract: CompiledContract, say: Say) -> int:
    seconds = contract.deployment.progress_deadline + contract.deployment.drain_timeout + _STOP_SECONDS
    with afresh(platform, min(seconds, _without_reserve(platform).left)) as bounded:
        return _emptying(bounded).empty(contract.name, bounded.deadline, say, deployment=contract.deployment)


def _emptying(platform: Platform) -> Emptying:
    return Emptying(
        documents=Documents(platform.consuls, platform.home),
        edges=PlannedEdges(platform.endpoints, platform.consuls, platform.deadline),
    )


def _stop(
    platform: Platform, contract: CompiledContract, running: Mapping[str, int], cut: int, say: Say
) -> None:
    seconds = min(_STOP_SECONDS, _without_reserve(platform).left)
    with afresh(platform, seconds) as bounded:
        for id in running:
            bounded.marathon.scale(id, 0, force=True)
        if running:
            say(f"{', '.join(running)}: stopped while its data is restored{cut_short(cut)}")
        while any((bounded.marathon.app(id) or {}).get("tasks") for id in running):
            if bounded.deadline.over:
                raise HookError(f"{contract.name}: still has tasks after {seconds:.0f} s; {UNTOUCHED}")
            bounded.deadline.sleep(_PAUSE)


def run_job(platform: Platform, cluster: str, job: Job, say: Say, *, after: str) -> None:
    """Start a job once, wait for its end, and take it away; HookError where it fails or takes too long.

    `after` is how things are where it fails.
    """
    once = Once(platform=platform, cluster=cluster, job=job, say=say)
    try:
        once.ready(_without_reserve(platform))
        once.run(_without_reserve(platform))
    except HookError as error:
        raise HookError(f"{error}; {after}") from error
