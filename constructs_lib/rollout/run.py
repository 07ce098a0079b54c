"""Applies and takes back, one node at a time; stops at the first that does not come back healthy.

Nothing is remembered here between runs: a node is behind when it differs from its plan, so running it again
goes on with those that are left. docs/decisions/2026-11-26-nodes-apply.md says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from constructs_lib.errors import RollError
from constructs_lib.roll.site import Say
from constructs_lib.rollout.gates import Gates, why_lines
from constructs_lib.rollout.lease import Lease
from constructs_lib.rollout.remote import ASK_SECONDS, PAUSE_SECONDS, NodeShell, Outcome, Seen
from constructs_lib.rollout.survey import NodeState, state_of
from constructs_lib.rollout.targets import ORDER, Target

SITE_SAYS = {
    1: "a step failed",
    2: "the node refused the generation",
    3: "a component did not become healthy",
}
"""What the exit codes of clustermesos-apply mean."""


@dataclass(kw_only=True)
class Rollout:
    """One run over the chosen nodes of one site."""

    gates: Gates
    shell_of: Callable[[Target], NodeShell]
    values: Mapping[str, str]
    """The operator's secrets by name, to be compared."""
    lease: Lease
    rollout_id: str
    """The same for the same wanted generations, so that a run that goes on is one with the stopped one."""
    who: str
    say: Say
    grows_from: int | None = None
    """How many masters there are while they learn the quorum of more."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _done: list[str] = field(default_factory=list, init=False)

    def apply(self, behind: Sequence[NodeState]) -> tuple[str, ...]:
        """Bring each to what it is to have; the names of those that were changed."""
        return self._each([state.target for state in behind], self._apply_one, "nodes apply")

    def back(self, states: Sequence[NodeState]) -> tuple[str, ...]:
        """Have each go back, the last changed first; the names."""
        return self._each([state.target for state in states], self._back_one, "nodes rollback")

    def _each(
        self, targets: Sequence[Target], change: Callable[[Target], None], command: str
    ) -> tuple[str, ...]:
        left = list(targets)
        while left:
            target = self.gates.next_of(left)
            try:
                self.lease.check()
                change(target)
            except RollError as error:
                others = [one.name for one in left if one is not target]
                raise RollError(f"{error}\n{self._how_to_go_on(target, others, command)}") from None
            except KeyboardInterrupt:
                self.say(
                    f"interrupted at {target.name}: what was begun there ends by itself, and goes back since "
                    f"nobody confirms it; run it again in two minutes. Done before: {self._names()}"
                )
                raise
            left.remove(target)
        return tuple(self._done)

    def _apply_one(self, target: Target) -> None:
        shell = self.shell_of(target)
        self.gates.require_the_others(target)
        state = self._settled(target)
        if not state.changes or state.seen is None:
            self.say(f"{target.name}: up to date by now")
            return
        self.say(f"{target.name}: applying")
        given = {name: self.values[name] for name in state.out_of_reach if name in self.values}
        if given:
            self.say(f"{target.name}: brings {', '.join(given)}, which its machine was made without")
        outcome = shell.apply(target.generation, state.seen, self._signed(target), self._hear, given)
        self._require_done(target, outcome)
        self._require_secrets(target)
        self.gates.require_all(target)
        self._done.append(target.name)
        self.say(f"{target.name}: changed and healthy")

    def _back_one(self, target: Target) -> None:
        self.gates.require_the_others(target)
        state = self._settled(target)
        if state.seen is None or not can_go_back(state.seen):
            self.say(f"{target.name}: has nothing to go back to")
            return
        self.say(f"{target.name}: going back")
        self._require_done(target, self.shell_of(target).back(state.seen, self._hear))
        self.gates.require_all(target)
        self._done.append(target.name)
        self.say(f"{target.name}: is back and healthy")

    def _settled(self, target: Target) -> NodeState:
        """Its state once nothing runs there any more; what waits for an operator to get in is confirmed."""
        shell, told = self.shell_of(target), False
        end = self.clock() + max(self.gates.timeout, ASK_SECONDS)
        while True:
            state = state_of(target, shell, self.values)
            if state.seen is None:
                raise RollError(f"{target.name}: {state.trouble}")
            result = state.seen.result or {}
            if result.get("state") == "unconfirmed":
                shell.confirm(result["id"])
            elif not state.seen.busy:
                return state
            if self.clock() >= end:
                raise RollError(
                    f"{target.name}: clustermesos-apply still runs there after {self.gates.timeout:g} s"
                )
            if not told:
                self.say(f"{target.name}: waiting for what runs there already")
                told = True
            self.sleep(PAUSE_SECONDS)

    def _require_done(self, target: Target, outcome: Outcome) -> None:
        if outcome.went_back:
            raise RollError(f"{target.name}: could not be reached any more, and went back by itself")
        if outcome.code:
            meaning = SITE_SAYS.get(outcome.code, "it was ended from outside")
            words = outcome.last.partition(": error: ")[2] or outcome.last
            why = "\n".join(why_lines(self.shell_of(target)))
            raise RollError(f"{target.name}: {meaning}: {words}\n{why}".rstrip())

    def _require_secrets(self, target: Target) -> None:
        """What a node fetches is what was deployed, which need not be what the operator has."""
        if not target.generation.secrets:
            return
        seen = self.shell_of(target).look(target.generation, self.values)
        old = [name for name, state in seen.secrets.items() if state == "other"]
        if old:
            raise RollError(
                f"{target.name}: the platform still hands out another value of {', '.join(old)} than the one "
                f"here: {target.generation.renewal}"
            )

    def _signed(self, target: Target) -> dict[str, object]:
        at = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        signed = {"id": self.rollout_id, "who": self.who, "at": at, "step": self.now().timestamp()}
        return signed | ({"grows_from": self.grows_from} if self.grows_from else {})

    def _hear(self, line: str) -> None:
        self.say(f"    {line.removeprefix('clustermesos-apply: ')}")

    def _names(self) -> str:
        return ", ".join(self._done) or "none"

    def _how_to_go_on(self, target: Target, others: Sequence[str], command: str) -> str:
        # A node that went back in part is not always of the last rollout any more: it has to be named.
        again = " ".join((command, *((target.name, *others) if command == "nodes rollback" else ())))
        told = [
            f"Stopped at {target.name}. Done before: {self._names()}. "
            f"Not touched: {', '.join(others) or 'none'}.",
            f"  to go on:   mend what is said above, then the same again: clustermesos {again}",
        ]
        if command == "nodes apply":
            told.append(
                f"  to go back: clustermesos nodes rollback {target.name}, "
                "or without a name this whole rollout"
            )
        return "\n".join(told)


def can_go_back(seen: Seen) -> bool:
    """Whether the node has a generation to go back to."""
    if seen.applied is None:
        return False
    return seen.wanted != seen.applied or seen.former is not None


def why_not_back(seen: Seen, masters: int) -> str | None:
    """Why a master must not go back: with the former quorum, `masters` of them could spoil the registry."""
    before = (seen.rollout or {}).get("grows_from")
    if before is None or masters <= before:
        return None
    return f"its former quorum is one of {before} masters, and by now there are {masters}"


def of_the_last_rollout(states: Sequence[NodeState]) -> tuple[NodeState, ...]:
    """The nodes that the latest rollout changed and that can go back."""
    brought = [(state, state.seen.rollout) for state in states if state.seen and state.seen.rollout]
    if not brought:
        return ()
    last = max(brought, key=lambda pair: float(pair[1]["step"]))[1]["id"]
    return tuple(s for s, rollout in brought if rollout["id"] == last and s.seen and can_go_back(s.seen))


def last_first(states: Sequence[NodeState]) -> tuple[NodeState, ...]:
    """The order of going back: roles the other way round, the last changed of each first."""

    def place(state: NodeState) -> tuple[int, float]:
        rollout = (state.seen.rollout if state.seen else None) or {}
        return -ORDER.index(state.target.role), -float(rollout.get("step", 0))

    return tuple(sorted(states, key=place))
