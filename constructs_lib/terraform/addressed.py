"""What resources and data sources have in common: an address, references to it, and checked attributes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from constructs_lib.errors import ResourceError
from constructs_lib.terraform.base import Construct, TerraformElement, jsii_create
from constructs_lib.terraform.check import check
from constructs_lib.terraform.hcl import Expr, index
from constructs_lib.terraform.meta import Meta
from constructs_lib.terraform.naming import Place, in_other_stack, logical_id, place_of, remember
from constructs_lib.terraform.plain import plain, plain_mapping
from constructs_lib.terraform.schema import DEFAULT_SCHEMAS, Body, Kind, bodies, did_you_mean

if TYPE_CHECKING:
    _Element = TerraformElement
else:
    # At run time a plain mixin beside the engine's class, so that jsii sees one base.
    _Element = object

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SECTIONS: Mapping[Kind, str] = {"resources": "resource", "data_sources": "data"}
_PREFIXES: Mapping[Kind, str] = {"resources": "", "data_sources": "data."}


class Addressed(_Element):
    """The mixin of `Resource` and `DataSource`; `_kind` tells them apart."""

    _kind: Kind
    _type: str
    _name: str
    _attributes: dict[str, Any]
    _bodies: tuple[tuple[str, Body], ...]
    _meta: Meta

    @property
    def address(self) -> str:
        """`aws_instance.demo_masters`; a data source's starts with `data.`."""
        return f"{_PREFIXES[self._kind]}{self._type}.{self._name}"

    def ref(self, attribute: str) -> str:
        """`"${aws_vpc.demo_vpc.id}"`; it may go deeper, as in `root_block_device[0].volume_id`.

        ResourceError when the schema has no such attribute, or when there are several instances.
        """
        if self._meta.repeats:
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
        """One map from the keys of for_each to the attribute: `"${{ for k, r in X : k => r.id }}"`.

        With count it is a list: `"${X[*].id}"`.
        """
        self._must_repeat("all")
        known = self._known(attribute)
        if self._meta.count is not None:
            return Expr(f"{self.address}[*].{known}")
        return Expr(f"{{ for k, r in {self.address} : k => r.{known} }}")

    def add_override(self, path: str, value: object) -> None:
        """Sets one value of the JSON, unchecked; dots in `path` separate keys, None takes it out."""
        *above, last = path.split(".")
        level = self._attributes
        for key in above:
            below = level.get(key)
            if not isinstance(below, dict):
                below = level[key] = {}
            level = below
        if value is None:
            level.pop(last, None)
        else:
            level[last] = plain(value)

    def _must_repeat(self, method: str) -> None:
        if not self._meta.repeats:
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

    def _build(
        self, scope: Construct, id: str, type_name: str, meta: Meta, attributes: Mapping[str, Any]
    ) -> None:
        """Checks all, then makes the engine's object and leaves the attributes on the stack's sheet."""
        place = place_of(scope).child(id)
        self._meta = meta
        self._type = type_name
        self._name = logical_id(place, type_name)
        meta.check(self.address, managed=self._kind == "resources")
        for other in (*meta.depends_on, *([meta.provider] if meta.provider else ())):
            if in_other_stack(other, place.stack):
                raise ResourceError(
                    f"{self.address}: {other.node.path} stands in another stack, expected one of this stack"
                )
        self._bodies = _bodies_for(place, self._kind, type_name)
        if self._bodies:
            check(self.address, attributes, self._bodies, managed=self._kind == "resources")
        place.stack.claim(self.address, place.path)
        config = {"terraformResourceType": type_name, **meta.for_engine()}
        jsii_create(self, scope, id, {key: value for key, value in config.items() if value is not None})
        remember(self, place)
        if place.parts != (self._name,):
            # A path of one id is its own logical id already.
            self.override_logical_id(self._name)
        self._attributes = {**plain_mapping(attributes), **meta.for_json()}
        place.stack.sheet.put(_SECTIONS[self._kind], type_name, self._name, self._attributes)


def _bodies_for(place: Place, kind: Kind, type_name: str) -> tuple[tuple[str, Body], ...]:
    """The schemas that the type must fit; none when the stack's Provider of its prefix says schemas=()."""
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
