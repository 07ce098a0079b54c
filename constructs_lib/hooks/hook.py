"""The one shape of everything that changes the platform after a deploy: read, diff, apply, verify."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from constructs_lib.hooks.explain import Explanation

NOT_PRUNED: Final = "no contract names it; --prune deletes it"
Action = Literal["create", "update", "delete", "keep"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that `apply` would do; `details` are lines such as `cpus: 0.5 → 1`, never with a secret."""

    kind: str
    """app, job, route, setting, rule, …"""
    name: str
    action: Action
    details: tuple[str, ...] = ()
    contract: str | None = None
    """Whose it is; None where no contract names it any longer."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What `verify` saw of one thing: its state after the change, in words for a person."""

    kind: str
    name: str
    good: bool
    says: str
    try_next: str | None = None
    """The command that helps, where it is not good."""
    explanation: Explanation | None = None
    """Of an application whose deployment gave up, or ran out of time: what was found at that moment."""
    sure: bool = True
    """False where nobody could be asked, and that is no failure: tables mark it with a question mark."""

    @property
    def mark(self) -> str:
        """The first column of a table."""
        return ("ok" if self.sure else "?") if self.good else "NOT"


State = TypeVar("State")


class Hook(Protocol[State]):
    """One kind of thing. Every method may be called again after a crash anywhere, with the same end.

    All methods raise HookError with what failed and what to do; none changes anything but `apply`.
    """

    name: str

    def read(self) -> State:
        """What the platform has now, in as few requests as can be."""

    def diff(self, state: State) -> Sequence[Change]:
        """What is missing, other than wanted, or no longer wanted; empty when nothing is to do."""

    def apply(self, state: State, changes: Sequence[Change], say: Callable[[str], None]) -> None:
        """Do it, in an order that harms nothing if it stops half-way; `say` gets a line per thing done."""

    def verify(self, state: State) -> Sequence[Verdict]:
        """What became of it."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one hook in a run."""

    hook: str
    changes: tuple[Change, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    error: str | None = None
    seconds: float = field(default=0.0, compare=False)

    @property
    def good(self) -> bool:
        """Whether nothing failed."""
        return self.error is None and all(verdict.good for verdict in self.verdicts)
