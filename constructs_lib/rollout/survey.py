"""Asks the chosen nodes what they have, several at a time; nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from constructs_lib.errors import RollError
from constructs_lib.roll.gate import AT_ONCE
from constructs_lib.rollout.changes import Change, changes
from constructs_lib.rollout.remote import NodeShell, Seen
from constructs_lib.rollout.targets import Target


@dataclass(frozen=True, kw_only=True)
class NodeState:
    """A node beside what it is to have; `seen` is None and `trouble` says why where it was not asked."""

    target: Target
    seen: Seen | None
    changes: tuple[Change, ...] = ()
    trouble: str | None = None

    @property
    def unknown_secrets(self) -> tuple[str, ...]:
        """Secrets whose value nobody here can compare."""
        known = self.seen.secrets if self.seen else {}
        return tuple(name for name, state in known.items() if state is None)

    @property
    def out_of_reach(self) -> tuple[str, ...]:
        """Secrets that the node is to read for the first time and that its machine was made without."""
        if not self.target.generation.comes_with_machine:
            return ()
        return tuple(each.name for each in self.changes if (each.kind, each.action) == ("secret", "add"))


def survey(
    targets: Sequence[Target], shell: Callable[[Target], NodeShell], values: Mapping[str, str]
) -> tuple[NodeState, ...]:
    """The state of each, in the order of `targets`; `values` are the secrets by name."""
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return tuple(pool.map(lambda target: state_of(target, shell(target), values), targets))


def state_of(target: Target, shell: NodeShell, values: Mapping[str, str]) -> NodeState:
    """One node's state."""
    try:
        seen = shell.look(target.generation, values)
    except RollError as error:
        return NodeState(target=target, seen=None, trouble=str(error))
    return NodeState(target=target, seen=seen, changes=changes(target.generation, seen))
