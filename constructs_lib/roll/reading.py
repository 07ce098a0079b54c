"""What a Terraform plan would do, read from its JSON form; and whether it replaces one node and nothing
else.

Pure: the plan comes as `terraform show -json` prints it (format 1.x, Terraform and OpenTofu alike).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constructs_lib.access.machines import Kinds
from constructs_lib.errors import RollError
from constructs_lib.roll.differences import differing, mapping

QUIET = (("no-op",), ("read",))
REPLACED = ("delete", "create")
CREATED = ("create",)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One managed resource in a plan: `index` is its `for_each` key, `group` its address without that."""

    address: str
    type: str
    group: str
    index: object
    actions: tuple[str, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    unknown: Mapping[str, Any]
    secret: Mapping[str, Any]
    """Attributes that must not be printed, true or nested."""

    @property
    def quiet(self) -> bool:
        """Whether nothing happens to it."""
        return self.actions in QUIET

    def is_machine(self, kinds: Kinds) -> bool:
        """Whether it is a node."""
        return kinds.is_machine(self.type, self.before, self.after)

    @property
    def verb(self) -> str:
        """What would happen to it, in a word."""
        return {
            REPLACED: "replaced",
            ("create", "delete"): "replaced, the new one first",
            CREATED: "created",
            ("delete",): "destroyed",
            ("update",): "changed in place",
            ("forget",): "forgotten",
        }.get(self.actions, "/".join(self.actions))

    def __str__(self) -> str:
        return f"{self.address}: {self.verb}"


@dataclass(frozen=True, kw_only=True)
class ReadPlan:
    """A whole plan: every managed resource, which resources refer to which, and what drifted outside of
    Terraform.
    """

    changes: tuple[Change, ...]
    references: Mapping[str, frozenset[str]]
    drifted: frozenset[str]

    @classmethod
    def of(cls, shown: Mapping[str, Any]) -> ReadPlan:
        """Read `terraform show -json`; RollError when the plan is not whole or not understood."""
        version = str(shown.get("format_version", ""))
        if version.split(".", maxsplit=1)[0] != "1":
            raise RollError(
                f"the plan's format is {version or 'unknown'!r}, expected 1.x: another Terraform?"
            )
        if shown.get("errored") or shown.get("deferred_changes"):
            raise RollError(
                "the plan is incomplete (an error, or changes put off): run `cdktf diff` to see why"
            )
        resources = shown.get("configuration", {}).get("root_module", {}).get("resources", ())
        return cls(
            changes=tuple(
                _change(entry) for entry in shown.get("resource_changes", ()) if entry["mode"] == "managed"
            ),
            references={resource["address"]: frozenset(_references(resource)) for resource in resources},
            drifted=frozenset(entry["address"] for entry in shown.get("resource_drift", ())),
        )

    def loud(self) -> tuple[Change, ...]:
        """Everything that would change."""
        return tuple(change for change in self.changes if not change.quiet)

    def repairs(self, kinds: Kinds) -> frozenset[str]:
        """Addresses whose change may be no more than undoing what happened outside of Terraform: one in
        place, or a file made again.
        """
        return frozenset(
            change.address
            for change in self.loud()
            if change.address in self.drifted
            and (
                change.actions == ("update",) or (change.actions == CREATED and change.type in kinds.fleeting)
            )
        )

    def machines(self, kinds: Kinds) -> frozenset[object]:
        """The `for_each` keys of all machines, which are nodes' names; of those that are to be made, too."""
        return frozenset(change.index for change in self.changes if change.is_machine(kinds))

    def machine(self, kinds: Kinds, node: str) -> Change:
        """The machine of a node; RollError unless there is exactly one."""
        found = [change for change in self.changes if change.is_machine(kinds) and change.index == node]
        if len(found) != 1:
            raise RollError(
                f"{node}: the plan holds {len(found)} machines of that name "
                f"({', '.join(change.address for change in found) or 'none'}), expected one; "
                "deploy first: cdktf deploy"
            )
        return found[0]

    def depends(self, group: str, on: str) -> bool:
        """Whether the resource `group` refers to the resource `on`, itself or through others."""
        seen: set[str] = set()
        waiting = [group]
        while waiting:
            for referred in self.references.get(waiting.pop(), frozenset()) - seen:
                if referred == on:
                    return True
                seen.add(referred)
                waiting.append(referred)
        return False


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """A plan that replaces one machine, with what hangs on it, and holds nothing else."""

    node: str
    machine: Change
    parts: tuple[Change, ...]
    """What goes with the machine, such as the attachment of its data volume."""
    differences: tuple[str, ...]
    """What the new machine will have that the running one has not, a line each; empty when it is up to
    date.
    """


def parts_of(plan: ReadPlan, machine: Change, node: str, kinds: Kinds) -> tuple[Change, ...]:
    """The changes that happen because exactly this machine is replaced."""
    mine = machine.before.get(kinds.identity)
    others = {
        change.before.get(kinds.identity)
        for change in plan.changes
        if change.is_machine(kinds) and change.address != machine.address
    } - {None}
    return tuple(
        change
        for change in plan.loud()
        if change.address != machine.address
        and change.type not in kinds.kept
        and not change.is_machine(kinds)
        and change.actions in (REPLACED, CREATED, ("update",))
        and plan.depends(change.group, machine.group)
        and _belongs(change, node, mine)
        and not others & set(_texts(change.before))
    )


def strangers(
    plan: ReadPlan, node: str, kinds: Kinds, *, ignoring: Collection[str] = ()
) -> tuple[Change, ...]:
    """Everything that a plan would change and that is neither the node's machine nor hangs on it alone."""
    machine = plan.machine(kinds, node)
    mine = {change.address for change in parts_of(plan, machine, node, kinds)} | {machine.address}
    return tuple(
        change for change in plan.loud() if change.address not in mine and change.address not in ignoring
    )


def half_done(plan: ReadPlan, nodes: Sequence[str], kinds: Kinds) -> str | None:
    """The one of `nodes` that a plain plan (nothing replaced on request) would complete, None when all are
    whole.

    RollError when the plan would change anything else: that has to be deployed first.
    """
    repairs = plan.repairs(kinds)
    waiting = [change for change in plan.loud() if change.address not in repairs]
    if not waiting:
        return None
    for node in nodes:
        if not strangers(plan, node, kinds, ignoring=repairs):
            return node
    raise RollError(more_than_one_node("refused", waiting))


def judge(
    plan: ReadPlan, node: str, address: str, kinds: Kinds, *, ignoring: Collection[str] = ()
) -> Replacement:
    """The plan as the replacement of `node` at its planned `address`; changes at `ignoring` are passed
    over.

    RollError, with everything else that the plan holds, when it would do more than that or move the node.
    """
    machine = plan.machine(kinds, node)
    others = strangers(plan, node, kinds, ignoring=ignoring)
    kept = [change for change in others if change.type in kinds.kept and change.index == node]
    if kept:
        raise RollError(
            f"{node}: its data volume is in the plan ({kept[0]}); a roll never touches data. "
            "Nothing was changed, see `cdktf diff` for the reason"
        )
    if others:
        raise RollError(more_than_one_node(f"{node}: refused", others))
    if machine.actions not in (REPLACED, CREATED):
        raise RollError(
            f"{machine}; expected it to be replaced and the old one to go first. Nothing was changed"
        )
    # A machine whose making was interrupted may have no address yet.
    was, becomes = kinds.address_of(machine.before) or address, kinds.address_of(machine.after)
    if not was == becomes == address:
        raise RollError(
            f"{node}: its {kinds.address} is {was} and would be {becomes or 'known later'}, planned is "
            f"{address}; the others would no longer find it. Nothing was changed"
        )
    return Replacement(
        node=node,
        machine=machine,
        parts=parts_of(plan, machine, node, kinds),
        differences=_differences(machine) if machine.actions == REPLACED else ("there is no machine yet",),
    )


def differences(plan: ReadPlan, node: str, kinds: Kinds) -> tuple[str, ...]:
    """What a new machine of `node` would have that the running one has not, by a plan that replaces it."""
    return _differences(plan.machine(kinds, node))


def more_than_one_node(start: str, others: Sequence[Change]) -> str:
    """The refusal of a plan that holds `others` beside the replacement of one node."""
    listed = "\n".join(f"  {change}" for change in others)
    return (
        f"{start}: the plan holds more than the replacement of one node:\n{listed}\n"
        "Deploy that first (it touches no running node): cdktf deploy. Then roll again. Nothing was changed"
    )


def _change(entry: Mapping[str, Any]) -> Change:
    change = entry["change"]
    module = f"{entry['module_address']}." if entry.get("module_address") else ""
    return Change(
        address=entry["address"],
        type=entry["type"],
        group=f"{module}{entry['type']}.{entry['name']}",
        index=entry.get("index"),
        actions=tuple(change["actions"]),
        before=change.get("before") or {},
        after=change.get("after") or {},
        unknown=mapping(change.get("after_unknown")),
        secret=mapping(change.get("after_sensitive")) | mapping(change.get("before_sensitive")),
    )


def _made_again(change: Change, kinds: Kinds) -> bool:
    return change.actions == CREATED and change.type in kinds.fleeting


def _references(value: object) -> Iterator[str]:
    """Resources, `type.name`, that a resource's configuration refers to, anywhere below."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            if key == "references":
                yield from (".".join(reference.split("[")[0].split(".")[:2]) for reference in below)
            elif key == "depends_on":
                # An order, not a value: nothing is replaced because of it.
                continue
            else:
                yield from _references(below)
    elif isinstance(value, list):
        for below in value:
            yield from _references(below)


def _belongs(change: Change, node: str, machine: object) -> bool:
    """By its key (`master-1`, `edge-1-http`), or because it holds the machine's own id."""
    index = change.index
    if isinstance(index, str) and (index == node or index.startswith(f"{node}-")):
        return True
    return machine is not None and machine in _texts(change.before)


def _texts(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        for below in value.values():
            yield from _texts(below)
    elif isinstance(value, list):
        for below in value:
            yield from _texts(below)
    elif isinstance(value, str):
        yield value


def _differences(machine: Change) -> tuple[str, ...]:
    return tuple(differing(machine.before, machine.after, machine.unknown, machine.secret))
