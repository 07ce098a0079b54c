"""The flags that the sources of Mesos, Marathon and Chronos know, with their types.

The tables beside this module hold every flag of the version that is installed by default. Mesos ignores a
variable `MESOS_X` that is no flag of it, so a misspelt one would do nothing and say nothing: the tests hold
every rendered file against these tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

BOOLEANS = ("true", "false", "1", "0")
_DURATION = re.compile(r"\d+(\.\d+)?(ns|us|ms|secs|mins|hrs|days|weeks)")
_BYTES = re.compile(r"\d+(B|KB|MB|GB|TB)")


@dataclass(frozen=True, kw_only=True)
class Program:
    """What one program knows: name → type (bool, int, float, string, duration, bytes, path or json)."""

    program: str
    source: str
    """The repository, version and files that the table was read from."""
    flags: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Deprecated name → name."""
    off: Mapping[str, str] = field(default_factory=dict)
    """The name that switches a flag off → the flag (Marathon, Chronos)."""
    only_in_builds_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Isolator or feature → flags that are unknown where the program was built without it."""

    def wrong(self, flag: str, value: str) -> str:
        """What is wrong with `--flag=value`, or nothing; a `file://` is read by the program, so it fits."""
        if flag in self.aliases:
            return f"{self.program}: {flag} is deprecated; it is {self.aliases[flag]} now"
        if flag not in self.flags:
            return f"{self.program}: there is no flag {flag}"
        for build, names in self.only_in_builds_with.items():
            if flag in names:
                return f"{self.program}: {flag} is known only where it was built with {build}"
        kind = self.flags[flag]
        if value.startswith("file:///") or _FITS[kind](value):
            return ""
        return f"{self.program}: {flag}: got {value!r}, expected {kind}"


@cache
def known_flags(program: str) -> Program:
    """The table of `mesos-master`, `mesos-agent`, `marathon` or `chronos`; FileNotFoundError for another."""
    return Program(**json.loads(files(__name__).joinpath(f"{program}.json").read_text(encoding="utf-8")))


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


_FITS: Mapping[str, Callable[[str], bool]] = {
    "bool": BOOLEANS.__contains__,
    "int": lambda value: re.fullmatch(r"-?\d+", value) is not None,
    "float": lambda value: re.fullmatch(r"-?\d+(\.\d+)?", value) is not None,
    "string": lambda value: value != "",
    "duration": lambda value: _DURATION.fullmatch(value) is not None,
    "bytes": lambda value: _BYTES.fullmatch(value) is not None,
    "path": lambda value: value.startswith("/"),
    "json": _is_json,
}
