"""What differs between an app as Marathon has it and another version's body: lines as `cpus: 0.5 → 1`.

Marathon fills bodies up with defaults, so only what the new body says is compared. Of an environment the
names alone are shown, and of a command that it differs: a contract's are no secrets, but a log is no place
for configuration, and what runs may be from before values with the form of a secret were refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_LONGEST = 60
_NAMES_ONLY = ("env",)
_NEVER_WHOLE = ("env", "healthChecks")
_SKIPPED = ("id", "instances", "labels")


def differences(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """One line for each value that differs, by its path."""
    return tuple(_below("", there, {key: one for key, one in wanted.items() if key not in _SKIPPED}))


def _below(path: str, there: Any, wanted: Any) -> Iterator[str]:
    if path in ("cmd", "args") or path.endswith(".command"):
        if not _same(there, wanted):
            yield f"{path}: {_happened(there)}"
    elif isinstance(wanted, Mapping) and isinstance(there, Mapping):
        for key, value in wanted.items():
            yield from _below(f"{path}.{key}" if path else str(key), there.get(key), value)
        gone = [key for key in there if key not in wanted] if path in _NAMES_ONLY else []
        yield from (f"{path}.{key}: removed" for key in gone)
    elif isinstance(wanted, list | tuple) and isinstance(there, list | tuple) and len(wanted) == len(there):
        for number, (old, new) in enumerate(zip(there, wanted, strict=True)):
            yield from _below(f"{path}[{number}]", old, new)
    elif not _same(there, wanted):
        if path.partition(".")[0] in _NEVER_WHOLE:
            yield f"{path}: {_happened(there)}"
        else:
            yield f"{path}: {_short(there)} → {_short(wanted)}"


def _happened(there: Any) -> str:
    return "added" if there is None else "changed"


def _same(there: Any, wanted: Any) -> bool:
    if there is None and wanted in ([], {}, "", 0, False):
        return True
    return bool(there == wanted)


def _short(value: Any) -> str:
    if value is None:
        return "unset"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
