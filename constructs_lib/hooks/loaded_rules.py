"""Whether the rules that Prometheus runs with are those that are wanted, compared as Prometheus writes them.

Prometheus answers with an expression as it prints it: other spaces, 1.2096e+06 for 1209600, 1m30s for 90s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from constructs_lib.contracts.compiled import Json
from constructs_lib.hooks.prometheus import LoadedRule

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_PART = re.compile(r"([0-9]+)(ms|[smhdwy])")
_DURATION = re.compile(r"(?<![\w.])(?:[0-9]+(?:ms|[smhdwy]))+(?!\w)")
_NUMBER = re.compile(r"(?<![\w.])[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?(?![\w.])")


def seconds_of(text: str) -> float:
    """A duration such as `90s` or `1m30s`; 0 for an empty one."""
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def same_expression(one: str, other: str) -> bool:
    """Whether two expressions differ in spaces, and in how numbers and times are written, alone."""
    return _normal(one) == _normal(other)


def _normal(expression: str) -> str:
    text = _DURATION.sub(lambda found: f"{seconds_of(found[0]):g}s", expression)
    return "".join(_NUMBER.sub(lambda found: repr(float(found[0])), text).split())


def lacking(groups: Sequence[Json], loaded: Sequence[LoadedRule]) -> Iterator[str]:
    """What is wrong with a contract's rules, a few words for each alert; `loaded` are those of its file."""
    for group in groups:
        there = [rule for rule in loaded if rule.group == group["name"]]
        if not there:
            yield f"group {group['name']} is not loaded"
            continue
        for wanted in group["rules"]:
            if trouble := _trouble(wanted, there):
                yield f"alert {_name(wanted)} {trouble}"


def _name(rule: Mapping[str, Any]) -> str:
    return str(rule.get("alert") or rule["record"])


def _trouble(wanted: Mapping[str, Any], there: Sequence[LoadedRule]) -> str | None:
    named = [rule for rule in there if rule.name == _name(wanted)]
    if not named:
        return "is not loaded"
    fitting = [rule for rule in named if _fits(wanted, rule)]
    if not fitting:
        return "is loaded as it was before"
    return next((f"can't be evaluated: {rule.error}" for rule in fitting if rule.error), None)


def _fits(wanted: Mapping[str, Any], loaded: LoadedRule) -> bool:
    return (
        same_expression(str(wanted["expr"]), loaded.query)
        and seconds_of(str(wanted.get("for", ""))) == loaded.seconds
        and dict(wanted.get("labels", {})) == loaded.labels
        and dict(wanted.get("annotations", {})) == loaded.annotations
    )
