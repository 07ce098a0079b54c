"""Resources and data sources of any provider, checked against the provider's schema when they are made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from constructs_lib.errors import ResourceError
from constructs_lib.terraform.base import (
    Construct,
    TerraformDataSource,
    TerraformElement,
    TerraformProvider,
    TerraformResource,
    member,
)
from constructs_lib.terraform.check import check
from constructs_lib.terraform.hcl import Expr, index, is_template, to_hcl
from constructs_lib.terraform.naming import Place, logical_id, place_of, remember
from constructs_lib.terraform.plain import plain_mapping
from constructs_lib.terraform.schema import DEFAULT_SCHEMAS, Body, Kind, bodies, did_you_mean

ForEach = Mapping[str, object] | str | None
Count = int | str | None

if TYPE_CHECKING:
    _Element = TerraformElement
else:
    # At run time a plain mixin beside the engine's class, so that jsii sees one base.
    _Element = object

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LIFECYCLE = (
    "create_before_destroy",
    "prevent_destroy",
    "ignore_changes",
    "replace_triggered_by",
    "precondition",
    "postcondition",
)


class Addressed(_Element):
    """What resources and data sources have in common: an address, references, and checked attributes."""

    _kind: Kind
    _prefix: str
    _type: str
    _name: str
    _attributes: dict[str, Any]
    _bodies: tuple[tuple[str, Body], ...]
    _repeats: bool

    @property
    def address(self) -> str:
        """`aws_instance.demo_masters`; a data source's starts with `data.`."""
        return f"{self._prefix}{self._type}.{self._name}"

    def ref(self, attribute: str) -> str:
        """`"${aws_vpc.demo_vpc.id}"`; the attribute may go deeper, as in `root_block_device[0].volume_id`.

        ResourceError when the schema has no such attribute, or when for_each or count makes several
        instances.
        """
        if self._repeats:
            raise ResourceError(
                f"{self.address}: ref({attribute!r}) is ambiguous, it has one instance per key; "
                "use each() or all()"
            )
        return Expr(f"{self.address}.{self._known(attribute)}")

    def each(self, key: str | int, attribute: str) -> str:
        """`'${aws_instance.demo_masters["master-1"].id}'`; an int is the index of a resource with count."""
        self._must_repeat("each")
        return Expr(f"{self.address}{index(key)}.{self._known(attribute)}")

    def all(self, attribute: str) -> str:
        """A map from the keys of for_each to the attribute, `"${{ for k, r in X : k => r.id }}"`; a list
        for count.
        """
        self._must_repeat("all")
        known = self._known(attribute)
        if self._repeats_by_count:
            return Expr(f"{self.address}[*].{known}")
        return Expr(f"{{ for k, r in {self.address} : k => r.{known} }}")

    _repeats_by_count: bool = False

    def _must_repeat(self, method: str) -> None:
        if not self._repeats:
            raise ResourceError(
                f"{self.address}: {method}() needs for_each or count, it has one instance; use ref()"
            )

    def _known(self, attribute: str) -> str:
        first = _NAME.match(attribute)
        name = first[0] if first else attribute
        for title, body in self._bodies:
            known = [*body.get("attributes", ()), *body.get("blocks", ())]
            if name not in known:
                raise ResourceError(
                    f'{self.address}: no attribute "{name}" to refer to{did_you_mean(name, known)} '
                    f"({title} schema)"
                )
        return attribute

    def _prepare(
        self, place: Place, type_name: str, attributes: Mapping[str, Any], for_each: ForEach, count: Count
    ) -> None:
        """Names, checks and keeps the attributes; everything that can fail does so before the engine is
        asked.
        """
        self._type = type_name
        self._name = logical_id(place, type_name)
        _check_repetition(self.address, for_each, count)
        self._repeats = for_each is not None or count is not None
        self._repeats_by_count = count is not None
        self._bodies = _bodies_for(place, self._kind, type_name)
        if self._bodies:
            check(self.address, attributes, self._bodies)
        place.stack.claim(self.address, place.path)
        self._attributes = plain_mapping(attributes)


class Resource(Addressed, TerraformResource):
    """A managed resource: `Resource(scope, "vpc", "aws_vpc", cidr_block="10.20.0.0/16", tags={"Name":
    "demo"})`.

    Its logical id is its construct path inside the stack joined with "_" (a leaf named "Resource" is
    dropped). `attributes` are the arguments of the type, nested blocks among them as a dict or a list of
    dicts; `dynamic={"tag": {"for_each": …, "content": {…}}}` makes blocks from an expression. Positional
    parameters have no names, so that `type=`, `id=` or `self=` can be attributes. Strings are Terraform
    templates: see `constructs_lib.terraform.hcl` and its `literal()`.

    for_each: a mapping (written as `merge({…})`, so that readers of the JSON don't mistake its keys) or an
    expression. count: a number or an expression. depends_on: resources or other elements. lifecycle:
    Terraform's own names. provider: a Provider with an alias.

    Raises ResourceError for names, types and counts that a schema of the stack's Provider refuses, for an
    id that Terraform would not take, and for an address that another construct has.
    """

    _kind: Kind = "resources"
    _prefix = ""

    def __init__(
        self,
        scope: Construct,
        id: str,
        type: str,
        /,
        *,
        for_each: ForEach = None,
        count: Count = None,
        depends_on: Sequence[TerraformElement] = (),
        lifecycle: Mapping[str, Any] | None = None,
        provider: TerraformProvider | None = None,
        **attributes: Any,
    ) -> None:
        place = place_of(scope).child(id)
        self._prepare(place, type, attributes, for_each, count)
        super().__init__(
            scope,
            id,
            terraform_resource_type=type,
            count=count if isinstance(count, int) else None,
            depends_on=list(depends_on) or None,
            lifecycle=_lifecycle(self.address, lifecycle, _LIFECYCLE),
            provider=provider,
        )
        _finish(self, place, self._name, for_each, count)

    @member("synthesizeAttributes")
    def _synthesize_attributes(self) -> dict[str, Any]:
        """The checked attributes; asked by the engine."""
        return self._attributes


class DataSource(Addressed, TerraformDataSource):
    """A data source: `DataSource(scope, "ami", "aws_ami", owners=["099720109477"], most_recent=True)`.

    Same arguments and errors as `Resource`; `lifecycle` takes only precondition and postcondition.
    """

    _kind: Kind = "data_sources"
    _prefix = "data."

    def __init__(
        self,
        scope: Construct,
        id: str,
        type: str,
        /,
        *,
        for_each: ForEach = None,
        count: Count = None,
        depends_on: Sequence[TerraformElement] = (),
        lifecycle: Mapping[str, Any] | None = None,
        provider: TerraformProvider | None = None,
        **attributes: Any,
    ) -> None:
        place = place_of(scope).child(id)
        self._prepare(place, type, attributes, for_each, count)
        super().__init__(
            scope,
            id,
            terraform_resource_type=type,
            count=count if isinstance(count, int) else None,
            depends_on=list(depends_on) or None,
            lifecycle=_lifecycle(self.address, lifecycle, _LIFECYCLE[-2:]),
            provider=provider,
        )
        _finish(self, place, self._name, for_each, count)

    @member("synthesizeAttributes")
    def _synthesize_attributes(self) -> dict[str, Any]:
        """The checked attributes; asked by the engine."""
        return self._attributes


def _finish(element: TerraformElement, place: Place, name: str, for_each: ForEach, count: Count) -> None:
    """What the constructor of the engine cannot take, one round trip each, only where needed."""
    remember(element, place)
    if place.parts != (name,):
        # A single id is its own logical id already.
        element.override_logical_id(name)
    if for_each is not None:
        element.add_override(
            "for_each", for_each if isinstance(for_each, str) else f"${{merge({to_hcl(for_each)})}}"
        )
    if isinstance(count, str):
        element.add_override("count", count)


def _check_repetition(address: str, for_each: ForEach, count: Count) -> None:
    if for_each is not None and count is not None:
        raise ResourceError(f"{address}: for_each and count are both given, expected one of them")
    if isinstance(for_each, str) and not is_template(for_each):
        raise ResourceError(
            f'{address}: for_each: got {for_each!r}, expected a mapping or an expression "${{…}}"'
        )
    if not isinstance(for_each, str | Mapping | None):
        raise ResourceError(
            f"{address}: for_each: got {for_each!r}, expected a mapping keyed by name or an expression"
        )
    if isinstance(for_each, Mapping) and not all(isinstance(key, str) for key in for_each):
        raise ResourceError(f"{address}: for_each: got the keys {list(for_each)!r}, expected strings")
    if isinstance(count, str) and not is_template(count):
        raise ResourceError(f'{address}: count: got {count!r}, expected a number or an expression "${{…}}"')
    if isinstance(count, bool) or (isinstance(count, int) and count < 0):
        raise ResourceError(f"{address}: count: got {count!r}, expected 0 or more")


def _lifecycle(
    address: str, given: Mapping[str, Any] | None, allowed: Sequence[str]
) -> dict[str, Any] | None:
    for name in given or ():
        if name not in allowed:
            raise ResourceError(
                f'{address}: unknown lifecycle setting "{name}"{did_you_mean(name, list(allowed))}, '
                f"expected one of {', '.join(allowed)}"
            )
    return plain_mapping(given) if given else None


def _bodies_for(place: Place, kind: Kind, type_name: str) -> tuple[tuple[str, Body], ...]:
    """The schemas that the type must fit, by its provider's local name; empty when its Provider says
    schemas=().
    """
    name = type_name.split("_", 1)[0]
    schemas = place.stack.schemas.get(name, DEFAULT_SCHEMAS.get(name))
    if schemas is None:
        raise ResourceError(
            f"{place.path}: no schema for the type {type_name!r} is shipped, known providers are "
            f"{', '.join(DEFAULT_SCHEMAS)}; make a Provider named {name!r} with schemas=() "
            "first to use it unchecked"
        )
    place.stack.checked.setdefault(name, place.path)
    return bodies(schemas, kind, type_name) if schemas else ()
