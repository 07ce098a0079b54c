"""Types of JSON, as Marathon's and Chronos' readers demand them before any rule is looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union

Shape = Union[str, "ListOf", "MapOf", Mapping[str, "Shape"]]
"""`number`, `int`, `bool`, `text`, `any`, or an object's known fields; unknown ones are ignored."""


@dataclass(frozen=True)
class ListOf:
    """A list of one shape."""

    item: Shape


@dataclass(frozen=True)
class MapOf:
    """An object with any names and values of one shape."""

    value: Shape


def mistyped(value: Any, shape: Shape, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and Marathon's word for each value of another type; null is a value that is not given."""
    if value is None or shape == "any":
        return
    if isinstance(shape, str):
        if not _is(value, shape):
            yield path or "/", _WORDS[shape]
    elif isinstance(shape, ListOf):
        if not isinstance(value, list):
            yield path or "/", "error.expected.jsarray"
            return
        for number, item in enumerate(value):
            yield from mistyped(item, shape.item, f"{path}({number})")
    elif not isinstance(value, dict):
        yield path or "/", "error.expected.jsobject"
    else:
        for name, item in value.items():
            inner = shape.value if isinstance(shape, MapOf) else shape.get(name, "any")
            yield from mistyped(item, inner, f"{path}/{name}")


_WORDS = {
    "number": "error.expected.jsnumber",
    "int": "error.expected.int",
    "bool": "error.expected.jsboolean",
    "text": "error.expected.jsstring",
}


def _is(value: Any, kind: str) -> bool:
    if kind == "text":
        return isinstance(value, str)
    if kind == "bool":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int if kind == "int" else int | float):
        return False
    return math.isfinite(value)


def without_nulls(value: Any) -> Any:
    """The value with every null left out, of lists too."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value if item is not None]
    return value
