"""A rollout over a platform's own APIs."""

from __future__ import annotations

from constructs_lib.hooks.analysis import Analysts
from constructs_lib.hooks.edge import PlannedEdges
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.rollout import Rollout


def rollout_of(platform: Platform, *, forgive: bool = False) -> Rollout:
    """What a run's `deploy`, `pending` and `forget` are.

    `forgive` tries versions again that turned round before. A platform without a Prometheus judges no canary:
    each waits for its promotion, or turns round as undecided.
    """
    return Rollout(
        marathon=platform.marathon,
        sites=platform.consuls,
        home=platform.home,
        edges=PlannedEdges(platform.endpoints, platform.consuls, platform.deadline),
        analyst=Analysts(platform.prometheuses) if platform.prometheuses else None,
        forgive=forgive,
    )
