"""When a node may be changed, who is next, and why one did not come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from constructs_lib.errors import RollError
from constructs_lib.roll.gate import Gate, Machine, wait_until_healthy
from constructs_lib.roll.nodes import PATIENCE_BEFORE, VOTERS
from constructs_lib.roll.quorum import why_not
from constructs_lib.roll.site import Say
from constructs_lib.rollout.remote import NodeShell
from constructs_lib.rollout.targets import Target

JOURNAL_LINES = 8

Modes = Callable[[Machine], str | None]
"""Asks a machine what it is in its ensemble: leader, follower, standalone; None without an answer."""


@dataclass(frozen=True, kw_only=True)
class Gates:
    """The questions around each change; `everyone` are the deployed nodes, whether they change or not."""

    gate: Gate
    timeout: float
    """Seconds that a changed node may take to be healthy."""
    everyone: Sequence[Target]
    modes: Modes
    say: Say

    def require_the_others(self, target: Target) -> None:
        """RollError while one of its kind is not healthy; the target itself may be sick."""
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

    def next_of(self, left: Sequence[Target]) -> Target:
        """The first of them that does not lead its ensemble: the leader comes last, so it moves once."""
        first = left[0]
        kind = [target for target in left if (target.role, target.site) == (first.role, first.site)]
        if first.role not in VOTERS or len(kind) == 1:
            return first
        return next((one for one in kind if self.modes(one.machine) != "leader"), first)

    def _group(self, target: Target) -> tuple[Machine, ...]:
        """Those that do the same in its site."""
        kind = (target.site, target.role, target.pool)
        return tuple(one.machine for one in self.everyone if (one.site, one.role, one.pool) == kind)

    def _quiet(self, line: str) -> None:
        """What is healthy is not worth a line at each of ten gates."""
        if not line.endswith(": healthy"):
            self.say(line)


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
