"""The providers' schemas, shipped as JSON and read one type at a time.

Each file in schemas/ is plain JSON with exactly one resource or data source per line, so that a type is
found by its name in the text and only that line is parsed: 0.1 ms instead of 5 ms for the whole AWS file.

Shape of a body: `{"attributes": {name: attribute}, "blocks": {name: block}}`. An attribute has `type`, a
cty type as in `terraform providers schema -json` ("string", ["list", "string"], ["set", ["object", {…}]],
"dynamic"), or `nested` ("single", "list", "set", "map") with `attributes` of its own, and the flags
optional, required, computed, sensitive, deprecated. A block is a body with `nesting` (single, list, set),
`min_items`, `max_items`, `required`.

aws-6.25.0 was read off the cdktf binding: sets are shown as lists, optional+computed as optional, blocks of
at most one item as "single", and there is no provider `config`. aws-3.39.0 is the real `terraform providers
schema`, and so are openstack-3.4.0 and libvirt-0.9.7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from constructs_lib.errors import ResourceError

Body = Mapping[str, Any]
Kind = Literal["resources", "data_sources"]

FOLDER: Final = Path(__file__).parent / "schemas"

DEFAULT_SCHEMAS: Final[Mapping[str, tuple[str, ...]]] = {
    "aws": ("aws-3.39.0", "aws-6.25.0"),
    "libvirt": ("libvirt-0.9.7",),
    "openstack": ("openstack-3.4.0",),
    "terraform": ("builtin",),
}
"""Local provider name → the schema files that its types are checked against unless a Provider says
otherwise.
"""


@dataclass(frozen=True)
class Schema:
    """One shipped file; `title` is how an error names it, such as "hashicorp/aws 6.25.0"."""

    name: str
    text: str

    @property
    def title(self) -> str:
        """Provider source and version, from the file's head."""
        return f"{self._head('provider')} {self._head('version')}"

    def body(self, kind: Kind, type_name: str) -> Body | None:
        """The body of one resource or data source, or None where this version lacks it."""
        start = self._section(kind)
        at = self.text.find(f'\n"{type_name}": ', start, self._section_end(start))
        if at < 0:
            return None
        body: Body = _decode(self.text, at + len(type_name) + 5)
        return body

    def config(self) -> Body | None:
        """The body of the provider's own settings, or None where the file does not have it."""
        at = self.text.find('\n"config": ')
        return None if at < 0 else _decode(self.text, at + len('\n"config": '))

    def type_names(self, kind: Kind) -> list[str]:
        """Every type of that kind; parses the whole file, so only errors and tests call it."""
        return list(json.loads(self.text).get(kind, ()))

    def _section(self, kind: Kind) -> int:
        return self.text.index(f'\n"{kind}": {{')

    def _section_end(self, start: int) -> int:
        return self.text.index("\n}", start)

    def _head(self, key: str) -> str:
        marker = f'\n"{key}": '
        value: str = _decode(self.text, self.text.index(marker) + len(marker))
        return value


def _decode(text: str, at: int) -> Any:
    return json.JSONDecoder().raw_decode(text, at)[0]


@cache
def load_schema(name: str) -> Schema:
    """The schema file of that name (without .json); ResourceError with the shipped names otherwise."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        raise ResourceError(f"no schema {name!r} is shipped, expected one of {', '.join(shipped_schemas())}")
    return Schema(name, path.read_text(encoding="utf-8"))


def shipped_schemas() -> list[str]:
    """The names of all shipped schema files."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


@cache
def bodies(schemas: tuple[str, ...], kind: Kind, type_name: str) -> tuple[tuple[str, Body], ...]:
    """(title, body) of each schema that has the type; ResourceError with a suggestion when none of them has
    it.
    """
    found = []
    for schema in map(load_schema, schemas):
        body = schema.body(kind, type_name)
        if body is not None:
            found.append((schema.title, body))
    if not found:
        known = sorted({name for schema in map(load_schema, schemas) for name in schema.type_names(kind)})
        what = "resource" if kind == "resources" else "data source"
        titles = ", ".join(load_schema(name).title for name in schemas)
        raise ResourceError(f"unknown {what} type {type_name!r}{did_you_mean(type_name, known)} ({titles})")
    return tuple(found)


def did_you_mean(word: str, known: list[str]) -> str:
    """`, did you mean "x"?` for the nearest known word, or nothing."""
    near = get_close_matches(word, known, n=1)
    return f', did you mean "{near[0]}"?' if near else ""
