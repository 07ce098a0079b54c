"""In what a new machine will differ from the running one, in words that show no secret and no long text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LONGEST_SHOWN = 60


def mapping(value: object) -> dict[str, Any]:
    """The plan has false instead of a mapping where nothing is marked."""
    return dict(value) if isinstance(value, Mapping) else {}


def differing(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    unknown: Mapping[str, Any],
    secret: Mapping[str, Any],
    path: str = "",
) -> Iterator[str]:
    """A line for each attribute that is known to change, `a.b` inside of a map.

    `unknown` and `secret` mark attributes as Terraform's plan does, by true or by such a mapping below.
    """
    for name, becomes in after.items():
        was, words = before.get(name), f"{path}{name}"
        if unknown.get(name) is True or _same(was, becomes):
            continue
        if secret.get(name) is True:
            yield f"{words} (sensitive)"
        elif isinstance(was, Mapping) and isinstance(becomes, Mapping):
            marks = mapping(unknown.get(name)), mapping(secret.get(name))
            yield from differing(was, becomes, *marks, f"{words}.")
        elif all(_short(value) for value in (was, becomes)):
            yield f"{words}: {_plain(was)} → {_plain(becomes)}"
        else:
            yield f"{words} changed"


def _same(before: object, after: object) -> bool:
    """Whether everything that is known of `after` is in `before`; unset, false, zero and empty are one."""
    if isinstance(after, Mapping) and isinstance(before, Mapping):
        return all(_same(before.get(key), value) for key, value in after.items())
    if isinstance(after, list) and isinstance(before, list):
        if not after and all(isinstance(block, Mapping) for block in before):
            # A block that is not configured: what the platform filled in (a T3's credits) is no change.
            return True
        return len(after) == len(before) and all(map(_same, before, after))
    return before == after or not (before or after)


def _short(value: object) -> bool:
    return value is None or (isinstance(value, str | int | float | bool) and len(str(value)) <= LONGEST_SHOWN)


def _plain(value: object) -> str:
    return "none" if value in (None, "") else str(value).lower() if isinstance(value, bool) else str(value)
