"""Logical ids: where a construct stands in its stack, joined with "_", without a hash.

The path is asked of the engine once per construct and remembered, since each question is a round trip to
Node.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from weakref import WeakKeyDictionary

from constructs_lib.errors import ResourceError
from constructs_lib.terraform.base import Construct, TerraformStack
from constructs_lib.terraform.sheet import Sheet

_PART = re.compile(r"[A-Za-z0-9_-]+")
_START = re.compile(r"[A-Za-z_]")
_DROPPED_LEAF = "Resource"


@dataclass(eq=False)
class StackRecord:
    """What Python remembers of one stack: who owns each address, and the schemas that each provider is held
    to.
    """

    construct: TerraformStack
    path: str
    owners: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    schemas: dict[str, tuple[str, ...]] = field(default_factory=dict)
    checked: dict[str, str] = field(default_factory=dict)

    @cached_property
    def sheet(self) -> Sheet:
        """Where the stack's resources leave their attributes; made with the first of them."""
        return Sheet(self.construct)

    def claim(self, address: str, path: str) -> None:
        """Takes address and path for one construct; ResourceError when another one has either of them."""
        if path in self.paths:
            raise ResourceError(
                f"{address}: {path} is {self.paths[path]} already; give one of them another id"
            )
        if address in self.owners:
            raise ResourceError(
                f"{address}: made by two constructs, {self.owners[address]} and {path}; "
                "give one of them another id"
            )
        self.owners[address] = path
        self.paths[path] = address


@dataclass(frozen=True, eq=False)
class Place:
    """A construct's position: its stack's record, and the ids from the stack (not counted) down to it."""

    stack: StackRecord
    parts: tuple[str, ...]

    def child(self, id: str) -> Place:
        """The place of a construct with that id below this one."""
        return Place(self.stack, (*self.parts, id))

    @property
    def path(self) -> str:
        """The construct path from the root, for errors."""
        return "/".join((self.stack.path, *self.parts))


_records: WeakKeyDictionary[TerraformStack, StackRecord] = WeakKeyDictionary()
_places: WeakKeyDictionary[Construct, Place] = WeakKeyDictionary()


def place_of(scope: Construct) -> Place:
    """Where `scope` stands, from memory if it was asked before."""
    known = _places.get(scope)
    if known is None:
        known = _places[scope] = _ask(scope)
    return known


def remember(construct: Construct, place: Place) -> None:
    """Saves the question for a construct whose place is already computed."""
    _places[construct] = place


def in_other_stack(element: Construct, stack: StackRecord) -> bool:
    """Whether an element of this package stands in another stack; those of other bindings pass."""
    place = _places.get(element)
    return place is not None and place.stack is not stack


class NamedConstruct(Construct):
    """The engine's Construct, which remembers its place and so spares three round trips to ask for it."""

    def __init__(self, scope: Construct, id: str) -> None:
        super().__init__(scope, id)
        if scope in _places or isinstance(scope, TerraformStack):
            remember(self, place_of(scope).child(id))


def _ask(scope: Construct) -> Place:
    if isinstance(scope, TerraformStack):
        record = _records.get(scope)
        if record is None:
            record = _records[scope] = StackRecord(scope, scope.node.path)
        return Place(record, ())
    stack = place_of(TerraformStack.of(scope)).stack
    below = scope.node.path.removeprefix(f"{stack.path}/")
    return Place(stack, tuple(below.split("/")))


def logical_id(place: Place, kind: str) -> str:
    """The Terraform name for a construct of that type; ResourceError when its ids don't make one."""
    parts: Sequence[str] = place.parts
    if len(parts) > 1 and parts[-1] == _DROPPED_LEAF:
        parts = parts[:-1]
    for part in parts:
        if not _PART.fullmatch(part):
            raise ResourceError(
                f"{kind} at {place.path}: got the id {part!r}, expected only letters, digits, - and _"
            )
    name = "_".join(parts)
    if not _START.match(name):
        raise ResourceError(
            f"{kind} at {place.path}: got the name {name!r}, expected it to start with a letter or _"
        )
    return name
