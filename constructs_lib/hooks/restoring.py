"""Puts a snapshot back: the application stops, a job restores, the application starts, a dump is loaded.

A run that is stopped anywhere leaves the data whole (contracts/scripts/restore.sh), and the application at
none of its instances at worst: restore again, or `clustermesos apply` starts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.errors import HookError, UnknownNameError
from constructs_lib.hooks.acting import cut_short
from constructs_lib.hooks.chronos import Job
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.documents import Documents
from constructs_lib.hooks.edge import PlannedEdges
from constructs_lib.hooks.emptying import Emptying
from constructs_lib.hooks.jobs import marked
from constructs_lib.hooks.ours import by_contract
from constructs_lib.hooks.platform import Platform

Say = Callable[[str], None]
_PAUSE = 2.0
_REMIND = 30.0
_STOP_SECONDS = 300.0
_UNDONE = "what was there before is there again"
_HALF_LOADED = "the dump is back beside the volume, but was not loaded, or not whole: restore again"
_RESERVE_SECONDS = 60.0
"""What is left of the run's time for cleaning up, whatever a job did with the rest."""


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
    jobs = list(_jobs(contract, node))
    first, *loads = jobs
    stands = _stopped(platform, compiled, contract, say) if contract.stops_to_restore else nullcontext()
    with stands:
        run_job(platform, compiled.cluster, with_snapshot(first, snapshot), say)
    for job in loads:
        run_job(platform, compiled.cluster, job, say, after=_HALF_LOADED)
    return f"{name}: snapshot {snapshot} is back" + (", and loaded" if loads else "")


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
        names = [str(job["name"]).split(".", 2) for job in contract.restores]
        nodes = sorted({parts[2].replace("-", ".") for parts in names if len(parts) > 2})
        raise HookError(
            f"{contract.name}: --node: got {node}, expected one of {', '.join(nodes) or 'none at all'}"
        )
    yield found[0]
    yield from (job for job in mine if job is not found[0])


def _environment(job: Job) -> Mapping[str, str]:
    return {str(one["name"]): str(one["value"]) for one in job["environmentVariables"]}


def with_snapshot(job: Job, snapshot: str) -> dict[str, Any]:
    """The job that restores this one."""
    environment = {**_environment(job), "SNAPSHOT": snapshot}
    return {**job, "environmentVariables": [{"name": k, "value": v} for k, v in sorted(environment.items())]}


@contextmanager
def _stopped(platform: Platform, compiled: Compiled, contract: CompiledContract, say: Say) -> Iterator[None]:
    """Every version stands still: two programs must not write the same files."""
    there = by_contract(platform.marathon.apps(), compiled.cluster).get(contract.name, {})
    running = {str(app["id"]): int(app["instances"]) for app in there.values() if app.get("instances")}
    with _out_of_route(platform, contract, running, say) as cut:
        try:
            _stop(platform, contract, running, cut, say)
            yield
        finally:
            for id, number in running.items():
                platform.marathon.scale(id, number, force=True)
                say(f"{id}: {number} instance{'' if number == 1 else 's'} again")


@contextmanager
def _out_of_route(
    platform: Platform, contract: CompiledContract, running: Mapping[str, int], say: Say
) -> Iterator[int]:
    """No edge sends anybody there, or still answers a request; how many connections stopping it all cuts."""
    emptying = _emptying(platform)
    asked = running and contract.route and platform.consuls
    before = emptying.documents.of(contract.name).route if asked else None
    if before is None:
        yield 0
        return
    shares = {id.rpartition("/")[2]: number for id, number in running.items()}
    bounded = platform.deadline.within(platform.deadline.left - _RESERVE_SECONDS)
    try:
        yield emptying.empty(contract.name, bounded, say, deployment=contract.deployment)
    finally:
        # Without shares a restore that ended before its end has left it.
        if emptying.refill(replace(before, weights=before.weights or shares)):
            say(f"route of {contract.name}: as it was before")


def _emptying(platform: Platform) -> Emptying:
    return Emptying(
        documents=Documents(platform.consuls, platform.home),
        edges=PlannedEdges(platform.endpoints, platform.consuls, platform.deadline),
    )


def _stop(
    platform: Platform, contract: CompiledContract, running: Mapping[str, int], cut: int, say: Say
) -> None:
    for id in running:
        platform.marathon.scale(id, 0, force=True)
    if running:
        say(f"{', '.join(running)}: stopped while its data is restored{cut_short(cut)}")
    bounded = platform.deadline.within(_STOP_SECONDS)
    while any((platform.marathon.app(id) or {}).get("tasks") for id in running):
        if bounded.over:
            raise HookError(
                f"{contract.name}: still has tasks after {_STOP_SECONDS:g} s; nothing was restored"
            )
        bounded.sleep(_PAUSE)


def run_job(platform: Platform, cluster: str, job: Job, say: Say, *, after: str = _UNDONE) -> None:
    """Start a job once, wait for its end, and take it away; HookError where it fails or takes too long.

    `after` is how things are where it fails.
    """
    name = str(job["name"])
    platform.chronos.delete(name)
    platform.chronos.put(marked(cluster, {**job, "schedule": "R1//PT1H", "retries": 0}))
    say(f"{name}: started")
    try:
        bounded = platform.deadline.within(platform.deadline.left - _RESERVE_SECONDS)
        _wait(platform, name, bounded, say, after)
    finally:
        platform.chronos.delete(name)
    say(f"{name}: done")


def _wait(platform: Platform, name: str, deadline: Deadline, say: Say, after: str) -> None:
    reminded = deadline.left
    while True:
        job = next((one for one in platform.chronos.jobs() if one.get("name") == name), None)
        if job is None:
            raise HookError(f"{name}: somebody deleted the job while it ran")
        if int(job.get("errorCount") or 0):
            raise HookError(
                f"{name}: failed, and {after}; its words are in its sandbox, on the Mesos master's page of "
                "the task (docs/mesos.md, Consoles)"
            )
        if int(job.get("successCount") or 0):
            return
        if deadline.over:
            raise HookError(f"{name}: has not ended in time; is there an agent for it? clustermesos status")
        if reminded - deadline.left >= _REMIND:
            reminded = deadline.left
            say(f"{name}: runs, or waits for an agent ({deadline.left:.0f} s left)")
        deadline.sleep(_PAUSE)
