"""The order of a run: ready → settings → applications → jobs → smoke test → alerts → report.

Settings come first, since applications read them; jobs last, since they save what applications have. What
fails stops what stands on it and nothing else: a broken application does not keep the others' backups from
being made. Nothing is pruned unless all applications are good: what replaces it may be what failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.errors import HookError
from constructs_lib.hooks.apart import BeingRestoredError
from constructs_lib.hooks.applications import stuck_at
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.hook import Change, Hook, Outcome, Verdict
from constructs_lib.hooks.stuck import LateError

Say = Callable[[str], None]
APPS = "applications"
_SHOWN = 3


class Deployer(Protocol):
    """Makes one application what its contract says."""

    def changes(self, contract: CompiledContract) -> Sequence[Change]:
        """What would be done; nothing is changed."""

    def left_over(self) -> Sequence[Change]:
        """Apps of this cluster that no contract names, as `delete` where they are pruned."""

    def deploy(self, contract: CompiledContract, deadline: Deadline, say: Say) -> Verdict:
        """Do it and wait; the verdict says whether the application now is as its contract says."""

    def serves(self, contract: CompiledContract) -> bool:
        """Whether enough of it serves, of whatever version, for what depends on it."""

    def prune(self, change: Change, say: Say) -> None:
        """Delete an app that no contract names."""


def run_hook(hook: Hook[Any], say: Say, state: Any = None, *, spare: str = "") -> Outcome:
    """One hook from reading to its verdicts; an error is its outcome.

    `state` is what was just read; `spare` is why nothing is deleted, where that is so.
    """
    began = time.monotonic()
    changes: Sequence[Change] = ()
    try:
        state = hook.read() if state is None else state
        changes = spared(hook.diff(state), spare)
        if any(change.action != "keep" for change in changes):
            hook.apply(state, changes, say)
            state = hook.read()
        verdicts = tuple(hook.verify(state))
    except HookError as error:
        return Outcome(
            hook=hook.name, changes=tuple(changes), error=str(error), seconds=time.monotonic() - began
        )
    return Outcome(
        hook=hook.name, changes=tuple(changes), verdicts=verdicts, seconds=time.monotonic() - began
    )


def run_apps(compiled: Compiled, deployer: Deployer, deadline: Deadline, say: Say) -> Outcome:
    """All applications, each after those that it depends on.

    With one that does not serve its dependents are left; one whose former version serves holds up nobody.
    """
    began = time.monotonic()
    verdicts: dict[str, Verdict] = {}
    chains: dict[str, tuple[str, ...]] = {}
    down: set[str] = set()
    changes: list[Change] = []
    needed = {name for contract in compiled.contracts for name in contract.depends_on}
    for contract in compiled.contracts:
        blocked = [name for name in contract.depends_on if name in down]
        if blocked:
            chains[contract.name] = (blocked[0], *chains.get(blocked[0], ()))
            verdicts[contract.name] = _blocked(contract, chains[contract.name])
        else:
            _tell_of_former(contract, verdicts, say)
            verdicts[contract.name] = _deployed(contract, deployer, deadline, say, changes)
        if not verdicts[contract.name].good and not _serves(contract, deployer, needed):
            down.add(contract.name)
    error = _prune(deployer, changes, say, not_pruned(verdicts.values()))
    return Outcome(
        hook=APPS,
        changes=tuple(changes),
        verdicts=tuple(verdicts.values()),
        error=error,
        seconds=time.monotonic() - began,
    )


def _serves(contract: CompiledContract, deployer: Deployer, needed: Collection[str]) -> bool:
    """Whether what depends on one that is not as its contract says may be deployed all the same."""
    try:
        return contract.name in needed and deployer.serves(contract)
    except HookError:
        return False


def _tell_of_former(contract: CompiledContract, verdicts: Mapping[str, Verdict], say: Say) -> None:
    for name in contract.depends_on:
        if name in verdicts and not verdicts[name].good:
            say(f"{contract.name}: goes on: {name} is not as its contract says, but enough of it serves")


def _deployed(
    contract: CompiledContract, deployer: Deployer, deadline: Deadline, say: Say, changes: list[Change]
) -> Verdict:
    try:
        changes += deployer.changes(contract)
        return deployer.deploy(contract, deadline, say)
    except LateError as error:
        return stuck_at(contract, str(error), error.found)
    except BeingRestoredError as error:
        says, helps = error.says, error.try_next
        return Verdict(kind="app", name=contract.name, good=False, says=says, try_next=helps)
    except HookError as error:
        helps = f"clustermesos explain {contract.name}"
        return Verdict(kind="app", name=contract.name, good=False, says=str(error), try_next=helps)


def _blocked(contract: CompiledContract, chain: Sequence[str]) -> Verdict:
    """Of one that was not begun; the last of `chain` is the first one that is in trouble itself."""
    *between, cause = chain
    whose = f"which needs {cause}, which is" if between else "which is"
    return Verdict(
        kind="app",
        name=contract.name,
        good=False,
        says=f"not touched: it depends on {' → '.join(between) or cause}, {whose} not as its contract says",
        try_next=f"clustermesos explain {cause}",
    )


def not_pruned(verdicts: Collection[Verdict]) -> str:
    """Why nothing is pruned after these, since it may serve in place of what failed; empty where none did."""
    bad = [one.name for one in verdicts if not one.good]
    shown = ", ".join(bad[:_SHOWN]) + (f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else "")
    return f"not pruned: {shown} failed" if bad else ""


def spared(changes: Sequence[Change], why: str) -> tuple[Change, ...]:
    """The changes without deletions, where there is a reason against them."""
    return tuple(
        replace(one, action="keep", details=(why,)) if why and one.action == "delete" else one
        for one in changes
    )


def _prune(deployer: Deployer, changes: list[Change], say: Say, spare: str) -> str | None:
    try:
        left_over = deployer.left_over()
        for change in spared(left_over, spare):
            changes.append(change)
            if change.action == "delete":
                deployer.prune(change, say)
    except HookError as error:
        return str(error)
    if spare and any(one.action == "delete" for one in left_over):
        say(f"{spare}; what no contract names any longer stays until all is as the contracts say")
    return None
