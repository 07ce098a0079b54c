"""Moving an application from one version to another, without a moment with fewer instances than it had.

How many old instances have to stay follows from how many new ones are happy; which ones go is a fixed order.
So the same picture always gives the same answer, and what was taken out of the route comes back when needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from constructs_lib.hooks.observed import Edge, Health, Instance, Observed, Version, Wanted
from constructs_lib.hooks.steps import Action, Create, Kill, Scale, SetRoute

Pace = Literal["gradually", "at once", "emptied first"]
_KEPT_FIRST = tuple(Health)
_SERVING = (Health.HAPPY, Health.UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Move:
    """Where to go: `to` gets `target` instances, every other version none."""

    to: str
    target: int
    floor: int
    pace: Pace
    room: int | None
    """How many instances beyond the wanted number may be started; None for as many as are missing."""
    back: bool = False
    """Going back: what does not serve of the version that failed makes room at once."""
    canary: int | None = None
    """Percent of requests while a canary is watched; then nothing old goes."""


def version_of(seen: Observed, version: str) -> Version:
    """What is seen of a version, which may be nothing."""
    return seen.versions.get(version, Version(version=version, asked=0))


def others_of(seen: Observed, version: str) -> tuple[Version, ...]:
    """All other versions, by name."""
    return tuple(seen.versions[name] for name in sorted(seen.versions) if name != version)


def happy(version: Version) -> int:
    """How many instances an edge can send a request to."""
    return sum(one.health is Health.HAPPY for one in version.instances)


def left(versions: tuple[Version, ...]) -> int:
    """How many instances there are, or will be; those that are being killed among them."""
    return sum(max(one.asked, len(one.instances)) + one.ending for one in versions)


def drained(move: Move, seen: Observed) -> frozenset[str]:
    """The tasks that are to get no request any longer."""
    target = version_of(seen, move.to)
    rest = [one for other in others_of(seen, move.to) for one in other.instances]
    stays = _needed(move, seen, len(rest))
    surplus = _ranked(target.instances, seen)[move.target :] if stays == 0 else []
    return frozenset(one.task for one in [*_ranked(rest, seen)[stays:], *surplus])


def _needed(move: Move, seen: Observed, there: int) -> int:
    """How many instances of other versions have to stay."""
    now = happy(version_of(seen, move.to))
    if move.pace == "emptied first" or (now >= move.target and move.canary is None):
        return 0
    if move.canary is not None or move.pace == "at once":
        return there
    missing = max(move.floor - now, 0)
    if move.back:
        instances = [one for other in others_of(seen, move.to) for one in other.instances]
        return min(missing, sum(one.health in _SERVING for one in instances))
    return missing


def _ranked(instances: list[Instance] | tuple[Instance, ...], seen: Observed) -> list[Instance]:
    """The ones to keep first: by health, those in the route before those taken out of it."""
    return sorted(
        instances,
        key=lambda one: (_KEPT_FIRST.index(one.health), one.task in seen.route.drain, one.task),
    )


def weights(move: Move, seen: Observed, drain: frozenset[str]) -> Mapping[str, int]:
    """Each version's share: none that can't answer, and never nobody while somebody could."""
    serving = {name: _serving(version, seen, drain) for name, version in seen.versions.items()}
    serving = {name: number for name, number in serving.items() if number}
    rest = {name: number for name, number in serving.items() if name != move.to}
    if rest and len(rest) < len(serving):
        if move.canary is not None:
            return _with_canary(move.to, move.canary, rest)
        if move.pace == "at once":
            # Blue or green: the new one as soon as it is whole, the old one while that is whole.
            if happy(version_of(seen, move.to)) >= move.target:
                rest = {move.to: 1}
            elif sum(rest.values()) < move.floor:
                rest = serving
            serving = rest
    if serving:
        return serving if len(serving) > 1 else dict.fromkeys(serving, 100)
    return _nobody_serving(move, seen, drain)


def _nobody_serving(move: Move, seen: Observed, drain: frozenset[str]) -> Mapping[str, int]:
    """What has requests keeps them while an instance of it may yet answer."""
    kept = {
        name: share
        for name, share in seen.route.weights.items()
        if share and any(one.task not in drain for one in version_of(seen, name).instances)
    }
    return kept or ({move.to: 100} if move.target else {})


def _with_canary(canary: str, percent: int, rest: Mapping[str, int]) -> Mapping[str, int]:
    if not percent:
        return rest if len(rest) > 1 else dict.fromkeys(rest, 100)
    if len(rest) == 1:
        return {canary: percent, **dict.fromkeys(rest, 100 - percent)}
    shares = {name: number * (100 - percent) for name, number in rest.items()}
    return {canary: sum(rest.values()) * percent, **shares}


def _serving(version: Version, seen: Observed, drain: frozenset[str]) -> int:
    """A version that has requests keeps them until its instances are bad; edges leave out what fails.

    A version that has none gets them for what is happy alone.
    """
    has = bool(seen.route.weights.get(version.version))
    return sum(
        one.task not in drain and (one.health is Health.HAPPY or (has and one.health is not Health.UNHEALTHY))
        for one in version.instances
    )


def sized(move: Move, wanted: Wanted, seen: Observed) -> list[Create | Scale]:
    """Versions that Marathon has to be told another number of."""
    done: list[Create | Scale] = []
    target, others = version_of(seen, move.to), others_of(seen, move.to)
    number = _allowed(move, wanted, target, others)
    if move.to not in seen.versions:
        if number or move.target == 0:
            done.append(Create(version=move.to, instances=number))
    elif number > target.asked or (target.asked > move.target and len(target.instances) <= move.target):
        done.append(Scale(version=move.to, instances=number))
    stays = _needed(move, seen, left(others))
    for other in others:
        # Marathon would go on trying to start what is not needed any longer.
        if other.asked > len(other.instances) and left(others) > stays:
            done.append(Scale(version=other.version, instances=len(other.instances)))
    return done


def _allowed(move: Move, wanted: Wanted, target: Version, others: tuple[Version, ...]) -> int:
    """How many instances of the new version there may be by now."""
    if move.pace == "emptied first" and left(others):
        return min(target.asked, move.target)
    if move.room is None:
        return move.target
    surge = max(wanted.deployment.surge, 1)
    by_room = max(move.floor, move.target) + move.room - left(others)
    return min(move.target, max(target.asked, by_room, surge))


def has_newest(edge: Edge, seen: Observed) -> bool:
    """Whether nginx on this edge runs with the newest route."""
    return edge.generation is not None and edge.generation >= seen.route.generation


def confirmed(wanted: Wanted, seen: Observed) -> tuple[bool, int, str]:
    """Whether what the route drains may be killed, how many connections that cuts; else what is missing."""
    if not wanted.routed:
        return True, 0, ""
    behind = [edge.name for edge in seen.edges if not has_newest(edge, seen)]
    if behind:
        return False, 0, f"{', '.join(behind)} to take over generation {seen.route.generation} of the route"
    busy = [edge for edge in seen.edges if edge.older]
    if not busy:
        return True, 0, ""
    open_now = sum(edge.connections for edge in busy)
    since = seen.progress.drained_at
    late = since is None or seen.now - since >= wanted.deployment.drain_timeout
    if late and wanted.deployment.on_drain_timeout == "cut":
        return True, open_now, ""
    names = ", ".join(edge.name for edge in busy)
    return False, 0, f"{open_now} connections of older workers on {names} to end"


def kills(move: Move, wanted: Wanted, seen: Observed, drain: frozenset[str]) -> list[Action]:
    """The tasks that are out of the route on every edge, and are to stay out."""
    ready, cut, _ = confirmed(wanted, seen)
    if not ready:
        return []
    found: list[Action] = []
    for name in sorted(seen.versions):
        version = seen.versions[name]
        out = not wanted.routed or not seen.route.weights.get(name)
        gone = drain if out else drain & seen.route.drain
        tasks = frozenset(one.task for one in version.instances) & gone
        if name != move.to and version.asked and _useless(version, seen, drain):
            found.append(Scale(version=name, instances=0, cut=cut))
        elif tasks:
            found.append(Kill(version=name, tasks=tasks, cut=cut))
    return found


def _useless(version: Version, seen: Observed, drain: frozenset[str]) -> bool:
    """Out of every route, with nothing that works: Marathon starts them faster than one can name them."""
    return (
        not seen.route.weights.get(version.version)
        and not any(one.health in _SERVING for one in version.instances)
        and all(one.task in drain for one in version.instances)
        and bool(version.instances)
    )


def routed(wanted: Wanted, seen: Observed, move: Move, drain: frozenset[str]) -> list[Action]:
    """The next generation of the route, where it has to differ; ids of tasks that are gone are no reason."""
    if not wanted.routed:
        return []
    shares = dict(weights(move, seen, drain))
    # A version without a share needs nobody taken out.
    sent_to = {one.task for name in shares for one in version_of(seen, name).instances}
    same = seen.route.drain & sent_to == drain & sent_to and dict(seen.route.weights) == shares
    if same and seen.route.generation:
        return []
    return [SetRoute(weights=shares, drain=drain & sent_to)]


def arrived(move: Move, wanted: Wanted, seen: Observed) -> bool:
    """Whether nothing is left to do but to take empty versions away."""
    target = version_of(seen, move.to)
    whole = len(target.instances) == target.asked == move.target and happy(target) == move.target
    if not whole or left(others_of(seen, move.to)) or routed(wanted, seen, move, frozenset()):
        return False
    return not wanted.routed or all(has_newest(edge, seen) for edge in seen.edges)
