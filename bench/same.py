"""Says whether two synthesized stacks make the same infrastructure, and where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Stack = Mapping[str, Any]


def differences(ours: Stack, theirs: Stack) -> list[str]:
    """One line per resource, data source, variable or output that is not the same; empty when all are.

    Everything counts but what Terraform reads alike: `true` and `"true"`, a block and a list of one block, an
    absent setting and an empty one. The providers' versions differ, so `terraform` is not compared.
    """
    mine, other = dict(_elements(ours)), dict(_elements(theirs))
    lines = [f"only ours: {address}" for address in sorted(mine.keys() - other.keys())]
    lines += [f"only theirs: {address}" for address in sorted(other.keys() - mine.keys())]
    for address in sorted(mine.keys() & other.keys()):
        lines += _compare(address, mine[address], other[address])
    return lines


def count(stack: Stack) -> int:
    """How many resources the stack declares; one with for_each counts once."""
    return sum(len(named) for named in stack.get("resource", {}).values())


def _elements(stack: Stack) -> Iterator[tuple[str, Any]]:
    for section in ("data", "resource"):
        for kind, named in stack.get(section, {}).items():
            for name, body in named.items():
                yield f"{section}.{kind}.{name}", plain(body)
    for section in ("variable", "output", "locals", "provider"):
        for name, body in stack.get(section, {}).items():
            yield f"{section}.{name}", plain(body)


def plain(value: Any) -> Any:
    """A value as Terraform reads it, in one of the ways to write it."""
    if isinstance(value, Mapping):
        kept = {key: plain(part) for key, part in value.items() if key != "//"}
        return {key: part for key, part in kept.items() if part not in (None, {}, [])}
    if isinstance(value, list):
        parts = [plain(part) for part in value]
        return parts[0] if len(parts) == 1 and isinstance(parts[0], dict) else parts
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    return value


def _compare(where: str, ours: Any, theirs: Any) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from _compare(f"{where}.{key}", ours.get(key), theirs.get(key))
    elif ours != theirs:
        yield f"{where}: {str(ours)[:80]} != {str(theirs)[:80]}"
