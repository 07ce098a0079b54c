"""Resources and attributes of an agent: their text form, what the machine has, and what may change later.

Sources: Mesos `src/v1/resources.cpp`, `src/v1/attributes.cpp`, `src/slave/compatibility.cpp` and
`src/slave/containerizer/containerizer.cpp`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from typing import Any

Ranges = list[list[int]]
Value = float | Ranges | list[str] | str

_RANGES = re.compile(r"\[\s*\d+\s*-\s*\d+\s*(,\s*\d+\s*-\s*\d+\s*)*\]")
_NAME = re.compile(r"([^(){}\[\]:;]+?)(\(([^()]+)\))?")
_DEFAULT_PORTS: Ranges = [[31000, 32000]]
_MIB = 2**20
_GIB_OF_MIB = 1024


def parse_value(text: str) -> Value:
    """A scalar, ranges such as `[1-5, 7-9]`, a set such as `{a, b}`, or text.

    Raises:
        ValueError: brackets without ranges in them, or a range that ends before it begins.
    """
    text = text.strip()
    if text.startswith("["):
        if not _RANGES.fullmatch(text):
            raise ValueError(f"Expecting one or more \"ranges\", got '{text}'")
        ranges = [[int(low), int(high)] for low, high in re.findall(r"(\d+)\s*-\s*(\d+)", text)]
        if any(low > high for low, high in ranges):
            raise ValueError(f"a range of '{text}' ends before it begins")
        return ranges
    if text.startswith("{"):
        if not text.endswith("}"):
            raise ValueError(f"unmatched {{ in '{text}'")
        return sorted(part.strip() for part in text[1:-1].split(",") if part.strip())
    try:
        return round(float(text), 3)
    except ValueError:
        return text


def parse_resources(text: str) -> dict[str, Value]:
    """Name → value of `cpus:4;ports:[31000-32000]` or Mesos' JSON array; `name(role)` keeps its role.

    Raises:
        ValueError: in Mesos' words.
    """
    if text.lstrip().startswith("["):
        return _from_json(text)
    found: dict[str, Value] = {}
    for part in (part.strip() for part in text.strip().split(";")):
        if not part:
            continue
        name, colon, value = part.partition(":")
        if not colon or not value.strip() or not _NAME.fullmatch(name.strip()):
            raise ValueError(f"Bad value for resources, missing or extra ':' in {part}")
        parsed = parse_value(value)
        if isinstance(parsed, str):
            raise ValueError(f"Bad type for resource {name}, value {value.strip()}: text is none")
        found[name.strip()] = parsed
    return found


def _from_json(text: str) -> dict[str, Value]:
    try:
        listed = json.loads(text)
    except ValueError as error:
        raise ValueError(f"Failed to parse resources as JSON: {error}") from None
    found: dict[str, Value] = {}
    for entry in listed:
        kind = entry.get("type") if isinstance(entry, dict) else None
        if kind == "SCALAR":
            found[entry["name"]] = round(float(entry["scalar"]["value"]), 3)
        elif kind == "RANGES":
            found[entry["name"]] = [[int(r["begin"]), int(r["end"])] for r in entry["ranges"]["range"]]
        elif kind == "SET":
            found[entry["name"]] = sorted(entry["set"]["item"])
        else:
            raise ValueError(f"Bad type for resource in JSON: {kind!r}")
    return found


def parse_attributes(text: str) -> dict[str, Value]:
    """Name → value of `rack:r1;zone:a`.

    Raises:
        ValueError: a part without a colon.
    """
    found: dict[str, Value] = {}
    for part in (part.strip() for part in text.strip().split(";")):
        if not part:
            continue
        name, colon, value = part.partition(":")
        if not colon or not name.strip() or not value.strip():
            raise ValueError(f"Invalid attribute key:value pair '{part}'")
        found[name.strip()] = parse_value(value)
    return found


def with_defaults(given: Mapping[str, Value], work_dir: str) -> dict[str, Value]:
    """`given`, and what Mesos finds on the machine for what is missing (memory and disk in MiB)."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MIB
    disk = shutil.disk_usage(work_dir).total // _MIB
    defaults: dict[str, Value] = {
        "cpus": float(os.cpu_count() or 1),
        "mem": float(memory - _GIB_OF_MIB if memory > 2 * _GIB_OF_MIB else memory // 2),
        "disk": float(disk - 5 * _GIB_OF_MIB if disk > 10 * _GIB_OF_MIB else disk // 2),
        "ports": _DEFAULT_PORTS,
    }
    plain = {name.partition("(")[0] for name in given}
    return {name: value for name, value in defaults.items() if name not in plain} | dict(given)


def not_permitted(old: Mapping[str, Any], new: Mapping[str, Any], policy: str) -> str:
    """Why an agent that checkpointed `old` may not come back as `new`; empty when it may.

    Both hold `hostname`, `port`, `domain`, `resources` and `attributes`. `equal` wants all of it the same,
    `additive` nothing less or other than before.
    """
    if policy == "equal":
        if all(old.get(part) == new.get(part) for part in _PARTS):
            return ""
        line = "-" * 60
        shown = [json.dumps({part: info.get(part) for part in _PARTS}) for info in (old, new)]
        return (
            f"Incompatible agent info detected.\n{line}\nOld agent info:\n{shown[0]}\n"
            f"{line}\nNew agent info:\n{shown[1]}\n{line}"
        )
    start = "Configuration change not permitted under `additive` policy: "
    why = _moved(old, new) or _less(old["resources"], new["resources"]) or _other(old, new)
    return f"{start}{why}" if why else ""


def _moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    for part in ("hostname", "port", "domain"):
        if old.get(part) != new.get(part) and (part != "domain" or old.get(part)):
            return f"{part.capitalize()} changed from {old.get(part)} to {new.get(part)}"
    return ""


def _less(old: Mapping[str, Value], new: Mapping[str, Value]) -> str:
    for name, value in old.items():
        if (why := _shrunk(value, new.get(name))) is not None:
            return why.format(name=name)
    return ""


def _other(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    for name, value in old["attributes"].items():
        if name not in new["attributes"]:
            return f"Couldn't find attribute {name}:{value}"
        if new["attributes"][name] != value:
            return f"Value of attribute '{name}' changed from {value} to {new['attributes'][name]}"
    return ""


_PARTS = ("hostname", "port", "domain", "resources", "attributes")


def _shrunk(old: Value, new: Value | None) -> str | None:
    if new is None or type(new) is not type(old):
        return "Resource not found: {name}"
    if isinstance(old, float) and isinstance(new, float):
        return (
            None if old <= new else f"Value of scalar resource '{{name}}' decreased from {old:g} to {new:g}"
        )
    contained = set(_points(old)) <= set(_points(new))
    return (
        None if contained else f"Previous value of resource '{{name}}' ({old}) not included in current {new}"
    )


def _points(value: Value) -> list[object]:
    if not isinstance(value, list):
        return [value]
    found: list[object] = []
    for item in value:
        found += range(item[0], item[1] + 1) if isinstance(item, list) else [item]
    return found
