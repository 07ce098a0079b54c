"""The order in which contracts are started: those that others need first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def started_first(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """All names, each after those that it needs, and by name where nothing decides.

    Names that are not in `needs` are skipped; `needs` has no cycle.
    """
    done: list[str] = []
    waiting = {name: {other for other in needs[name] if other in needs} for name in sorted(needs)}
    while waiting:
        ready = next((name for name, others in waiting.items() if not others - set(done)), None)
        if ready is None:
            return (*done, *waiting)
        done.append(ready)
        del waiting[ready]
    return tuple(done)


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
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for other in needs.get(way[-1], ()):
            if other == start:
                return (*way, start)
            if other in needs and other not in seen:
                seen.add(other)
                ways.append((*way, other))
    return ()
