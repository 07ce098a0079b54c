"""Marathon's label selectors: `tier==web,owner!=ops,env in (a,b),!legacy,team`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Labels = Mapping[str, str]
_TERM = re.compile(
    r"\s*(?:([\w./-]+)\s*(==|!=)\s*([^,()\s]+)|([\w./-]+)\s+(in|notin)\s*\(([^()]*)\)|(!?)([\w./-]+))\s*(?:,|$)"
)


def selector(text: str) -> Callable[[Labels], bool]:
    """Whether labels fit `text`.

    Raises:
        ValueError: it is no selector.
    """
    tests: list[Callable[[Labels], bool]] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise ValueError(f"Couldn't parse label selector expression '{text}' at {at}")
        at = found.end()
        tests.append(_test(found))
    return lambda labels: all(test(labels) for test in tests)


def _test(found: re.Match[str]) -> Callable[[Labels], bool]:
    name, sign, value, listed, operator, values, absent, plain = found.groups()
    if name:
        return lambda labels: (labels.get(name) == value) == (sign == "==")
    if listed:
        wanted = {one.strip() for one in values.split(",")}
        return lambda labels: (labels.get(listed) in wanted) == (operator == "in")
    return lambda labels: (plain in labels) != bool(absent)
