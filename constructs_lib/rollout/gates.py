"""When a node may be changed, who is next, and why one did not come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from constructs_lib.errors import RollError
from constructs_lib.roll.gate import AT_ONCE, Gate, Machine, wait_until_healthy
from constructs_lib.roll.nodes import PATIENCE_BEFORE, VOTERS
from constructs_lib.roll.quorum import why_not
from constructs_lib.roll.site import Say
from constructs_lib.rollout.remote import NodeShell
from constructs_lib.rollout.targets import Target

JOURNAL_LINES = 8

FRESH_SECONDS = 10.0
"""How long an answer that all are healthy stands: the gate behind one node is the one before the next."""

Leads = Callable[[Machine], int]
"""Asks a machine of how many ensembles it is the leader."""


@dataclass(frozen=True, kw_only=True)
class Gates:
    """The questions around each change; `everyone` are the deployed nodes, whether they change or not."""

    gate: Gate
    timeout: float
    """Seconds that a changed node may take to be healthy."""
    everyone: Sequence[Target]
    leads: Leads
    say: Say
    clock: Callable[[], float] = time.monotonic
    _healthy: dict[tuple[object, ...], float] = field(default_factory=dict, init=False)
    """Group → when all of it was seen to be healthy."""

    def require_the_others(self, target: Target) -> None:
        """RollError while one of its kind is not healthy; the target itself may be sick."""
        seen = self._healthy.get(_kind(target))
        if seen is not None and self.clock() - seen < FRESH_SECONDS:
            return
        machines = self._group(target)
        patience = min(PATIENCE_BEFORE, self.timeout)
        answers = wait_until_healthy(self.gate, machines, timeout=patience, say=self._quiet)
        healthy = [name for name, trouble in answers.items() if trouble is None]
        reason = why_not(list(answers), healthy, target.name, votes=target.role in VOTERS)
        if reason:
            details = "\n".join(f"  {name}: {trouble}" for name, trouble in answers.items() if trouble)
            raise RollError(
                f"{target.name}: refused, since {reason}:\n{details}\n{target.name} was not touched"
            )

    def require_all(self, target: Target) -> None:
        """RollError where, after its change, not all of its kind are healthy in time."""
        answers = wait_until_healthy(self.gate, self._group(target), timeout=self.timeout, say=self._quiet)
        wrong = [f"  {name}: {trouble}" for name, trouble in answers.items() if trouble]
        if wrong:
            raise RollError(
                f"{target.name} was changed, and after {self.timeout:g} seconds not all are healthy:\n"
                + "\n".join(wrong)
            )
        self._healthy[_kind(target)] = self.clock()

    def next_of(self, left: Sequence[Target]) -> Target:
        """The first of those that lead nothing; who leads most comes last, so that each lead moves once."""
        first = left[0]
        kind = [target for target in left if (target.role, target.site) == (first.role, first.site)]
        if first.role not in VOTERS or len(kind) == 1:
            return first
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            leads = list(pool.map(self.leads, (one.machine for one in kind)))
        return kind[leads.index(min(leads))]

    def _group(self, target: Target) -> tuple[Machine, ...]:
        """Those that do the same in its site."""
        return tuple(one.machine for one in self.everyone if _kind(one) == _kind(target))

    def _quiet(self, line: str) -> None:
        """What is healthy is not worth a line at each of ten gates."""
        if not line.endswith(": healthy"):
            self.say(line)


def _kind(target: Target) -> tuple[object, ...]:
    """What it has in common with those that do the same in its site."""
    return target.site, target.role, target.pool


def why_lines(shell: NodeShell) -> Iterator[str]:
    """What the node itself says is wrong, and what its units wrote last."""
    try:
        why = shell.why()
    except RollError as error:
        yield f"  it can't be asked why: {error}"
        return
    for component, wrong in why["components"].items():
        yield f"  {component}: {wrong}"
    for unit, lines in why["journals"].items():
        yield f"  last lines of {unit}:"
        yield from (f"    {line}" for line in lines[-JOURNAL_LINES:] or ["(none)"])
