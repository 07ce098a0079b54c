"""Values of flags: durations, sizes, JSON and `file://`, by Mesos' rules (stout `flags/parse.hpp`)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|ms|secs|mins|hrs|days|weeks)")
_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "secs": 1.0,
    "mins": 60.0,
    "hrs": 3600.0,
    "days": 86400.0,
    "weeks": 604800.0,
}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(B|KB|MB|GB|TB)")
_SIZES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


def duration(text: str) -> float:
    """Seconds of `10secs`, `15mins`, `1.5hrs`; ValueError for another form, such as `10s` or `10`."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(
            f"Failed to parse duration '{text}': expected a number and one of {', '.join(_SECONDS)}"
        )
    return float(found[1]) * _SECONDS[found[2]]


def size(text: str) -> int:
    """Bytes of `64MB`; ValueError for another form."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"Failed to parse bytes '{text}': expected a number and one of {', '.join(_SIZES)}")
    return int(float(found[1]) * _SIZES[found[2]])


def boolean(text: str) -> bool:
    """True of `true` and `1`, False of `false` and `0`; ValueError for anything else."""
    if text in ("true", "1"):
        return True
    if text in ("false", "0"):
        return False
    raise ValueError(f"Expecting a boolean (e.g., true or false), got '{text}'")


def integer(text: str) -> int:
    """A whole number; ValueError for anything else."""
    if not re.fullmatch(r"-?[0-9]+", text):
        raise ValueError(f"Failed to convert '{text}' to number")
    return int(text)


def number(text: str) -> float:
    """A number; ValueError for anything else."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"Failed to convert '{text}' to number") from None


def json_object(text: str) -> dict[str, Any]:
    """A JSON object, or the one in the file that an absolute path names; ValueError with the place."""
    if text.startswith("/"):
        text = read(text)
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"syntax error in JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {type(value).__name__}")
    return value


def read(path: str) -> str:
    """The text of a file that a flag names; ValueError when it can't be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"Error reading file '{path}': {getattr(error, 'strerror', None) or error}"
        ) from None


_PARSERS: dict[str, Callable[[str], Any]] = {
    "bool": boolean,
    "int": integer,
    "float": number,
    "string": str,
    "duration": duration,
    "bytes": size,
    "json": json_object,
}


def parsed(kind: str, text: str) -> Any:
    """The value of a flag of this type; `file:///path` stands for the content of that file.

    A flag of type `path` names the file itself: it gets the path, without `file://`.

    Raises:
        ValueError: with what is wrong.
    """
    if kind == "path":
        return text.removeprefix("file://")
    if text.startswith("file://"):
        text = read(text.removeprefix("file://"))
    return _PARSERS[kind](text)
