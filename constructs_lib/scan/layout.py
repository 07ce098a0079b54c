"""Where each resource stands in a cdk.tf.json, by line.

checkov's Terraform-JSON reader calls a resource `resource.NAME`, without its type, and in checks of the graph
a data source `TYPE.NAME`, without `data.` (3.3.30). Only the lines it reports say which one is meant, so it
is given a copy of each stack in a layout in which every resource starts on a line of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BLOCKS = {"resource": "", "data": "data."}
"""Top-level key of a stack → what addresses of its entries start with."""

_KEY = re.compile(r'(?P<indent> *)(?P<key>"(?:[^"\\]|\\.)*"): ')
# YAML, by which checkov reads JSON, refuses some of these and ends a line at others.
_NOT_FOR_YAML = re.compile("[\x7f-\uffff]")


@dataclass(frozen=True, order=True)
class Lines:
    """First and last line of a resource, counted from 1."""

    first: int
    last: int


def addresses(stack: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each resource and data source: its address, its type as a policy names it (`data.TYPE`), its body."""
    for block, prefix in BLOCKS.items():
        for type_, named in stack.get(block, {}).items():
            for name, body in named.items():
                if name != "//":
                    yield f"{prefix}{type_}.{name}", f"{prefix}{type_}", body


def canonical(stack: Mapping[str, Any]) -> str:
    """The stack as JSON text with one entry a line, in characters that checkov's reader takes."""
    text = json.dumps(stack, indent=2, ensure_ascii=False)
    return _NOT_FOR_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def locate(text: str) -> dict[str, Lines]:
    """Address → lines, for JSON indented by two as the engine and `canonical` write it; nothing for other."""
    found: dict[str, Lines] = {}
    path: dict[int, tuple[str, int]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if match := _KEY.match(line):
            path[len(match["indent"])] = (json.loads(match["key"]), number)
        if line.rstrip(",") == "      }" or _empty_body(line):
            _note(found, path, number)
    return found


def _empty_body(line: str) -> bool:
    match = _KEY.match(line)
    return bool(match and len(match["indent"]) == 6 and line.rstrip(",").endswith("{}"))


def _note(found: dict[str, Lines], path: Mapping[int, tuple[str, int]], last: int) -> None:
    if not {2, 4, 6} <= path.keys():
        return
    (block, _), (type_, _), (name, first) = path[2], path[4], path[6]
    if block in BLOCKS and name != "//":
        found.setdefault(f"{BLOCKS[block]}{type_}.{name}", Lines(first, last))
