"""Why a deployment has to turn round: crash loop, hopeless placement, worse canary, or no progress."""

from __future__ import annotations

from constructs_lib.hooks.moving import Move, confirmed, happy, left, others_of, version_of
from constructs_lib.hooks.observed import Health, Observed, Version, Wanted

_LOOPS = 2
"""How often each instance has to have failed before it is called a crash loop."""
HOPELESS_SECONDS = 60.0
"""How long a placement has to be hopeless: an agent that starts anew is unknown to Mesos for a moment."""


def failing(wanted: Wanted, seen: Observed, move: Move) -> str | None:
    """Why the deployment has to turn round, or None."""
    new, deployment = version_of(seen, wanted.version), wanted.deployment
    if looping := _looping(new, others_of(seen, wanted.version), move):
        return looping
    if waits_in_vain(new, seen) and _for_long(seen, min(HOPELESS_SECONDS, deployment.progress_deadline)):
        return f"hopeless: {seen.hopeless}"
    if move.canary is not None and happy(new) >= move.target:
        return _watched(wanted, seen)
    since = seen.progress.progressed
    if move.canary is not None and seen.progress.canary_unhappy is not None:
        since = max(since, seen.progress.canary_unhappy)
    if seen.now - since < deployment.progress_deadline:
        return None
    seconds = f"{deployment.progress_deadline:g} s"
    if happy(new) >= move.target:
        return f"no progress for {seconds}: waited for {confirmed(wanted, seen)[2] or 'old instances to end'}"
    return f"no progress for {seconds}: {happy(new)} of {move.target} instances are happy{unhappy(new)}"


def unhappy(new: Version) -> str:
    """`, 1 starting, 2 not started`: what there is of a version besides happy instances."""
    counts = {
        health: sum(one.health is health for one in new.instances)
        for health in Health
        if health is not Health.HAPPY
    }
    missing = max(new.asked - len(new.instances), 0)
    said = [f"{number} {health.value}" for health, number in counts.items() if number]
    said += [f"{missing} not started"] if missing else []
    return f", {', '.join(said)}" if said else ""


def waits_in_vain(new: Version, seen: Observed) -> bool:
    """Whether an instance is missing for which there is no agent at all."""
    return seen.hopeless is not None and len(new.instances) < new.asked


def _for_long(seen: Observed, seconds: float) -> bool:
    since = seen.progress.hopeless_since
    return since is not None and seen.now - since >= seconds


def _looping(new: Version, others: tuple[Version, ...], move: Move) -> str | None:
    """A crash loop: nothing is happy, each instance failed twice, and the old ones do not fail like that."""
    number = max(1, min(new.asked, move.target))
    if happy(new) or new.failed < _LOOPS * number:
        return None
    old, running = sum(one.failed for one in others), max(1, left(others))
    if old / running >= new.failed / number:
        return None
    return f"crash loop: {new.failed} tasks of {number} instances ended by themselves, none is happy"


def _watched(wanted: Wanted, seen: Observed) -> str | None:
    """What the analysis of a canary that is happy says against it."""
    deployment, judgement = wanted.deployment, seen.judgement
    if judgement.says == "bad":
        return f"the canary is worse: {judgement.why}"
    since = seen.progress.canary_since
    patience = deployment.canary_seconds + deployment.progress_deadline
    undecided = judgement.says == "undecided" and deployment.promote == "automatic"
    if since is None:
        late = seen.now - seen.progress.progressed >= deployment.progress_deadline
        return "no edge took the canary's share over" if late else None
    if undecided and seen.now - since >= patience:
        return f"the canary was undecided for {patience:g} s: {judgement.why}"
    return None
