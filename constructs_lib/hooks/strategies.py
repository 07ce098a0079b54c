"""The strategies: pure functions of what is observed, called again until they say that it ended.

`step` remembers nothing. Resuming after a crash, a second operator and the next round of a loop are the same
call. What it has to know of before (when progress was made, what was promoted, what failed) is in `Progress`,
which the caller stores before it acts.
"""

from __future__ import annotations

from dataclasses import replace

from constructs_lib.hooks.failing import failing, unhappy, waits_in_vain
from constructs_lib.hooks.moving import (
    Move,
    arrived,
    confirmed,
    drained,
    happy,
    has_newest,
    kills,
    left,
    others_of,
    routed,
    sized,
    version_of,
)
from constructs_lib.hooks.observed import Observed, Progress, Wanted
from constructs_lib.hooks.progress import promoted
from constructs_lib.hooks.steps import Action, Delete, End, Scale, SetRoute, Step, Wait


def step(wanted: Wanted, seen: Observed) -> Step:
    """What to do next to get `wanted` from what is `seen`.

    Never fewer serving instances than at the beginning (but for `recreate`), nothing killed that an edge may
    still send a request to, and an end under any faults that end: the version runs, or the former one again.
    """
    progress = seen.progress
    if reason := progress.refused.get(wanted.version):
        return Step(progress=progress, end=End(good=False, why=_refused(wanted.version, reason)))
    if progress.version != wanted.version or (progress.done and not _settled(wanted, seen)):
        progress = _begun(wanted, seen)
    seen = replace(seen, progress=progress)
    if progress.paused and progress.turned is None:
        return Step(progress=progress, wait=Wait(what="somebody to resume it", person=True))
    if progress.turned is None:
        move = _forward(wanted, seen)
        if move.canary is None and arrived(move, wanted, seen):
            return _finished(wanted, seen)
        progress = _progressed(move, wanted, seen)
        seen = replace(seen, progress=progress)
        reason = failing(wanted, seen, move)
        if reason is None:
            return _go(wanted, seen, move)
        if _only_number(wanted, seen):
            stuck = replace(progress, done=True)
            return Step(progress=stuck, end=End(good=False, why=reason, gave_up=True))
        # The deadline for going back is its own.
        progress = replace(progress, turned=reason, progressed=seen.now, most=0, fewest=None)
        seen = replace(seen, progress=progress)
    return _back(wanted, seen)


def _refused(version: str, reason: str) -> str:
    return f"version {version} was deployed before and turned round: {reason}"


def _settled(wanted: Wanted, seen: Observed) -> bool:
    """Whether a deployment that ended is still ended: nothing else runs, and the number is the wanted one."""
    return arrived(_forward(wanted, seen), wanted, seen)


def _begun(wanted: Wanted, seen: Observed) -> Progress:
    """A deployment's first document; one that was not done hands on what it had promised to keep serving."""
    before = seen.progress
    refused = dict(before.refused)
    if before.version and before.turned and not before.done:
        refused[before.version] = before.turned
    others = others_of(seen, wanted.version)
    serving = sum(one.asked for one in others) if others else 0
    return Progress(
        version=wanted.version,
        floor=max(serving, 0 if before.done else before.floor),
        began=seen.now,
        progressed=seen.now,
        done=False,
        settled=before.settled,
        refused=refused,
    )


def _only_number(wanted: Wanted, seen: Observed) -> bool:
    """Whether the version ran before and is alone: only the number of instances changes."""
    return seen.progress.settled == wanted.version and left(others_of(seen, wanted.version)) == 0


def _forward(wanted: Wanted, seen: Observed) -> Move:
    deployment, new = wanted.deployment, wanted.version
    base = Move(
        to=new, target=wanted.count, floor=seen.progress.floor, pace="gradually", room=deployment.surge
    )
    if deployment.strategy == "recreate":
        return replace(base, pace="emptied first", room=None)
    if deployment.strategy == "blue-green":
        return replace(base, pace="at once", room=None)
    if deployment.strategy == "canary" and not seen.progress.promoted and left(others_of(seen, new)):
        number = min(deployment.canary_instances, wanted.count)
        return replace(base, target=number, room=None, canary=min(deployment.canary_percent, 99))
    return base


def _progressed(move: Move, wanted: Wanted, seen: Observed) -> Progress:
    """Later, if one more is happy or one fewer of the others is left."""
    progress = seen.progress
    now, rest = happy(version_of(seen, move.to)), left(others_of(seen, move.to))
    fewest = rest if progress.fewest is None else progress.fewest
    waited = seen.now - progress.progressed > wanted.deployment.progress_deadline / 4
    if now > progress.most or rest < fewest or (waited and _only_drains(wanted, seen, move)):
        progress = replace(progress, progressed=seen.now)
    progress = replace(
        progress,
        most=max(now, progress.most),
        fewest=min(fewest, rest),
        hopeless_since=_hopeless_since(wanted, seen),
    )
    if move.canary is None:
        return replace(progress, canary_unhappy=None)
    if now < move.target:
        unhappy = progress.canary_unhappy
        return replace(progress, canary_unhappy=seen.now if unhappy is None else unhappy)
    taken = not routed(wanted, seen, move, drained(move, seen)) and all(
        has_newest(edge, seen) for edge in seen.edges
    )
    since = progress.canary_since if progress.canary_since is not None or not taken else seen.now
    return replace(progress, canary_unhappy=None, canary_since=since)


def _hopeless_since(wanted: Wanted, seen: Observed) -> float | None:
    if seen.progress.turned is not None or not waits_in_vain(version_of(seen, wanted.version), seen):
        return None
    since = seen.progress.hopeless_since
    return seen.now if since is None else since


def _only_drains(wanted: Wanted, seen: Observed, move: Move) -> bool:
    """Whether all that is left is connections that end on edges which have the newest route."""
    return (
        happy(version_of(seen, move.to)) >= move.target
        and all(has_newest(edge, seen) for edge in seen.edges)
        and any(edge.older for edge in seen.edges)
    )


def _go(wanted: Wanted, seen: Observed, move: Move) -> Step:
    """Forward: the canary is promoted or watched, the rest is the move."""
    new, progress = version_of(seen, wanted.version), seen.progress
    if move.canary is not None and progress.canary_since is not None and happy(new) >= move.target:
        deployment = wanted.deployment
        watched = progress.canary_since + deployment.canary_seconds
        if deployment.promote == "automatic" and seen.now >= watched and seen.judgement.says == "good":
            seen = replace(seen, progress=promoted(progress, seen.now))
            move = _forward(wanted, seen)
    return _moving(wanted, seen, move, _waits(wanted, seen, move))


def _finished(wanted: Wanted, seen: Observed) -> Step:
    done = replace(seen.progress, done=True, settled=wanted.version, turned=None, floor=0)
    empty = tuple(Delete(version=one.version) for one in others_of(seen, wanted.version))
    return Step(progress=done, actions=empty, end=End(good=True, why=f"version {wanted.version} runs"))


def _moving(wanted: Wanted, seen: Observed, move: Move, wait: Wait) -> Step:
    drain = drained(move, seen)
    route = routed(wanted, seen, move, drain)
    ended = kills(move, wanted, seen, drain)
    # A version that just was told to end everything is not told another number.
    spoken_of = {one.version for one in ended if isinstance(one, Scale)}
    sizes = [one for one in sized(move, wanted, seen) if one.version not in spoken_of]
    actions: list[Action] = [*route, *ended, *sizes]
    progress = seen.progress
    if any(_takes_out(one, seen) for one in route):
        progress = replace(progress, drained_at=seen.now)
    return Step(progress=progress, actions=tuple(actions), wait=None if actions else wait)


def _takes_out(action: Action, seen: Observed) -> bool:
    return isinstance(action, SetRoute) and bool(
        action.drain - seen.route.drain or seen.route.weights.keys() - action.weights.keys()
    )


def _waits(wanted: Wanted, seen: Observed, move: Move) -> Wait:
    deployment, progress = wanted.deployment, seen.progress
    new = version_of(seen, move.to)
    deadline = progress.progressed + deployment.progress_deadline
    if happy(new) < move.target:
        return Wait(
            what=f"instances of {move.to} to be happy: {happy(new)} of {move.target}{unhappy(new)}",
            until=deadline,
        )
    if move.canary is not None and progress.canary_since is not None:
        if deployment.promote == "manual":
            return Wait(what=f"promotion of canary {move.to}: {seen.judgement.why}", person=True)
        watched = progress.canary_since + deployment.canary_seconds
        if seen.now < watched:
            return Wait(what=f"canary {move.to} to be watched long enough", until=watched)
        limit = watched + deployment.progress_deadline
        return Wait(what=f"canary {move.to} to be decided: {seen.judgement.why}", until=limit)
    return Wait(what=confirmed(wanted, seen)[2] or "old instances to end", until=deadline)


def _back(wanted: Wanted, seen: Observed) -> Step:
    """To the version that ran before, never by way of a canary: put into the route first, then made whole."""
    progress = seen.progress
    reason = progress.turned or ""
    home = _home(wanted, seen)
    if home is None:
        move = Move(to=wanted.version, target=0, floor=0, pace="gradually", room=None)
    else:
        floor = progress.floor
        move = Move(to=home, target=floor, floor=floor, pace="gradually", room=None, back=True)
    progress = _progressed(move, wanted, seen)
    seen = replace(seen, progress=progress)
    over = replace(
        progress,
        done=True,
        refused={**progress.refused, wanted.version: reason},
        floor=0,
    )
    if arrived(move, wanted, seen):
        what = f"version {home} runs again" if home else "there was no version before it"
        return Step(progress=over, end=End(good=False, why=f"turned round: {reason}; {what}"))
    late = seen.now - progress.progressed >= wanted.deployment.progress_deadline
    if late:
        why = f"turned round: {reason}; going back made no progress either and stopped as it is"
        return Step(progress=over, end=End(good=False, why=why, gave_up=True))
    return _moving(wanted, seen, move, _waits(wanted, seen, move))


def _home(wanted: Wanted, seen: Observed) -> str | None:
    """The version to go back to: the last one that succeeded, else the one with most happy instances."""
    others = others_of(seen, wanted.version)
    known = [one for one in others if one.version == seen.progress.settled]
    rest = [one for one in others if one.version not in seen.progress.refused]
    found = known or sorted(rest, key=lambda one: (-happy(one), -one.asked, one.version))
    return found[0].version if found else None
