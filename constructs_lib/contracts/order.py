"""The order in which contracts are started: those that others need first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush


def started_first(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """All names, each after those that it needs, and by name where nothing decides.

    Names that are not in `needs` are skipped. Those of a cycle, and those that need them, come last, by name.
    """
    missing = {name: {other for other in others if other in needs} for name, others in needs.items()}
    waiting: dict[str, list[str]] = {name: [] for name in needs}
    for name, others in missing.items():
        for other in others:
            waiting[other].append(name)
    ready = [name for name, others in missing.items() if not others]
    heapify(ready)
    done: list[str] = []
    while ready:
        name = heappop(ready)
        done.append(name)
        for other in waiting[name]:
            missing[other].discard(name)
            if not missing[other]:
                heappush(ready, other)
    return (*done, *sorted(needs.keys() - set(done)))


def cycles(needs: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Every cycle once, from its first name by the alphabet back to itself: `(a, b, a)`.

    Of several through the same name only the shortest: the others are seen once it is gone.
    """
    found: list[tuple[str, ...]] = []
    known: set[str] = set()
    for start in sorted(needs):
        if start in known:
            continue
        trail = _way_back(start, needs)
        if trail:
            found.append(trail)
            known.update(trail)
    return found


def _way_back(start: str, needs: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The shortest way from `start` to itself; empty where there is none."""
    ways = deque([start])
    came_from: dict[str, str] = {}
    while ways:
        name = ways.popleft()
        for other in needs.get(name, ()):
            if other == start:
                return _trail(came_from, start, name)
            if other in needs and other not in came_from:
                came_from[other] = name
                ways.append(other)
    return ()


def _trail(came_from: Mapping[str, str], start: str, last: str) -> tuple[str, ...]:
    way = [last]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return (*reversed(way), start)
