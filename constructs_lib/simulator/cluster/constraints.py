"""Marathon's placement constraints (`Constraints.scala`): whether one more instance may run on an agent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from constructs_lib.simulator.cluster.agents import Agent

Constraint = Sequence[str]


def fits(constraint: Constraint, agent: Agent, others: Sequence[Agent]) -> bool:
    """Whether an instance may run on `agent`, with its app's other instances on `others`."""
    name, operator = constraint[0], constraint[1]
    wanted = constraint[2] if len(constraint) > 2 else ""
    value = agent.value(name)
    if value is None:
        # An agent without the attribute is one of "all but those".
        return operator == "UNLIKE"
    taken = Counter(other.value(name) for other in others)
    return _OPERATORS[operator](value, wanted, taken)


def _unique(value: str, _wanted: str, taken: Mapping[str | None, int]) -> bool:
    return value not in taken


def _cluster(value: str, wanted: str, taken: Mapping[str | None, int]) -> bool:
    return value == wanted if wanted else not taken or value in taken


def _group_by(value: str, wanted: str, taken: Mapping[str | None, int]) -> bool:
    groups = int(wanted) if wanted else 1
    if not taken:
        return True
    fewest = min(taken.values()) if len(taken) >= groups else 0
    return taken.get(value, 0) <= fewest


def _max_per(value: str, wanted: str, taken: Mapping[str | None, int]) -> bool:
    return taken.get(value, 0) < int(wanted)


def _like(value: str, wanted: str, _taken: Mapping[str | None, int]) -> bool:
    return re.fullmatch(wanted, value) is not None


def _unlike(value: str, wanted: str, _taken: Mapping[str | None, int]) -> bool:
    return re.fullmatch(wanted, value) is None


def _is(value: str, wanted: str, _taken: Mapping[str | None, int]) -> bool:
    return _number(value) == _number(wanted)


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


_OPERATORS: Mapping[str, Callable[[str, str, Mapping[str | None, int]], bool]] = {
    "UNIQUE": _unique,
    "CLUSTER": _cluster,
    "GROUP_BY": _group_by,
    "MAX_PER": _max_per,
    "LIKE": _like,
    "UNLIKE": _unlike,
    "IS": _is,
}
