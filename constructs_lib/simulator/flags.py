"""The flags of the doubled programs, read as the real ones read them.

Mesos has its own parser (stout), Marathon and Chronos use Scallop, Registrator Go's `flag`. Which flags a
program knows and of which type they are stands in a table, `constructs_lib/components/flags/PROGRAM.json`,
taken from the program's source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from constructs_lib.simulator.double import RefusedError
from constructs_lib.simulator.values import parsed, read

INVALID_SCALLOP_FLAG = {"marathon": 112, "chronos": 1}
"""The exit code of a JVM program for a flag that it refuses."""


@dataclass(frozen=True)
class Table:
    """The flags of one program.

    Attributes:
        program: its name.
        types: flag name → `bool`, `int`, `float`, `string`, `path`, `duration`, `bytes` or `json`.
        aliases: old name → today's name.
        prefixes: prefix → flags that it turns off (`disable_` of Scallop's toggles).
    """

    program: str
    types: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    off: Mapping[str, str] = field(default_factory=dict)


def table(program: str) -> Table:
    """The table of `program`."""
    file = resources.files("constructs_lib").joinpath("components", "flags", f"{program}.json")
    data = json.loads(file.read_text(encoding="utf-8"))
    return Table(program, data["flags"], data.get("aliases", {}), data.get("off", {}))


Given = dict[str, Any]
"""Flag name → its value in Python; flags that nobody gave are missing."""


def stout(known: Table, arguments: Sequence[str], environ: Mapping[str, str]) -> Given:
    """Flags of Mesos: `--name=value`, `--name`, `--no-name`, and `MESOS_NAME` for what the line lacks.

    An unknown variable is ignored, an unknown flag of the command line is not.

    Raises:
        RefusedError: with Mesos' words.
    """
    texts: dict[str, str | None] = {}
    for argument in arguments:
        if argument == "--":
            break
        if not argument.startswith("--"):
            continue
        name, equals, value = argument[2:].partition("=")
        name = name.lower()
        if name in texts:
            raise RefusedError(f"Flag '{name}' is already loaded via name '{name}'")
        texts[name] = value if equals else None
    for variable, value in environ.items():
        name = variable.removeprefix("MESOS_").lower()
        if variable.startswith("MESOS_") and (name in known.types or name in known.aliases):
            texts.setdefault(name, value)
    given: Given = {}
    for name, text in texts.items():
        flag, value = _stout_flag(known, name, text)
        if flag in given:
            raise RefusedError(f"Flag '{flag}' is already loaded via name '{flag}'")
        given[flag] = value
    return given


def _stout_flag(known: Table, name: str, text: str | None) -> tuple[str, Any]:
    plain = name.removeprefix("no-")
    negated = plain != name
    flag = known.aliases.get(plain, plain)
    kind = known.types.get(flag)
    if kind is None:
        raise RefusedError(f"Failed to load unknown flag '{plain}'" + (f" via '{name}'" if negated else ""))
    if kind == "bool":
        if negated and text:
            raise RefusedError(f"Failed to load boolean flag '{plain}' via '{name}' with value '{text}'")
        text = text or ("false" if negated else "true")
    elif negated:
        raise RefusedError(f"Failed to load non-boolean flag '{plain}' via '{name}'")
    elif text is None:
        raise RefusedError(f"Failed to load non-boolean flag '{plain}': Missing value")
    try:
        return flag, parsed(kind, text)
    except ValueError as error:
        raise RefusedError(f"Failed to load flag '{plain}': Failed to load value: {error}") from None


def scallop(known: Table, arguments: Sequence[str], environ: Mapping[str, str], prefix: str = "") -> Given:
    """Flags of Marathon and Chronos: `--name value`; switches take no value.

    With `prefix` (`MARATHON_`) every variable of that prefix becomes a flag, an empty one a switch, and an
    unknown one is refused like an unknown flag; `MARATHON_APP_*` are left alone.

    Raises:
        RefusedError: with the words that Scallop logs.
    """
    words: list[str] = []
    for name, value in environ.items():
        if prefix and name.startswith(prefix) and not name.startswith("MARATHON_APP_"):
            words += [f"--{name.removeprefix(prefix).lower()}", *([value] if value else [])]
    words += arguments
    if words and words[0].startswith("@"):  # the whole command line is in this file
        words = _from_file(known, words[0].removeprefix("@"))
    given: Given = {}
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            raise _bad(known, f"Excess arguments provided: '{word}'")
        name, equals, value = word[2:].partition("=")
        switched_off = known.off.get(name)
        kind = known.types.get(name) or ("bool" if switched_off else None)
        if kind is None:
            raise _bad(known, f"Unknown option '{name}'")
        if kind == "bool":
            if equals or (words and not words[0].startswith("--")):
                raise _bad(
                    known, f"Bad arguments for option '{name}': '{value or words[0]}' - a switch takes none"
                )
            value = "true"
        elif not equals:
            if not words or words[0].startswith("--"):
                raise _bad(
                    known, f"Bad arguments for option '{name}': '' - you should provide exactly one argument"
                )
            value = words.pop(0)
        flag = switched_off or name
        if flag in given:
            raise _bad(
                known, f"Bad arguments for option '{name}': given twice - you should provide exactly one"
            )
        try:
            given[flag] = False if switched_off else parsed(kind, value)
        except ValueError as error:
            raise _bad(known, f"Bad arguments for option '{name}': '{value}' - {error}") from None
    return given


def _from_file(known: Table, path: str) -> list[str]:
    try:
        return read(path).split()
    except ValueError as error:
        raise _bad(known, str(error)) from None


def _bad(known: Table, text: str) -> RefusedError:
    return RefusedError(text, INVALID_SCALLOP_FLAG[known.program])


def go(known: Table, arguments: Sequence[str]) -> tuple[Given, list[str]]:
    """Flags of a Go program: `-name value`, `-name=value` or `--name`; the rest are plain arguments.

    Raises:
        RefusedError: exit code 2, with Go's words.
    """
    words = list(arguments)
    given: Given = {}
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "--":
            break
        name, equals, value = word.lstrip("-").partition("=")
        kind = known.types.get(name)
        if kind is None:
            raise RefusedError(f"flag provided but not defined: -{name}", 2)
        if kind == "bool":
            value = value if equals else "true"
        elif not equals:
            if not words:
                raise RefusedError(f"flag needs an argument: -{name}", 2)
            value = words.pop(0)
        try:
            given[name] = parsed(kind, value)
        except ValueError as error:
            raise RefusedError(f'invalid value "{value}" for flag -{name}: {error}', 2) from None
    return given, words
