"""A rollout over a platform's own APIs."""

from __future__ import annotations

import time

from constructs_lib.hooks.analysis import Analysts
from constructs_lib.hooks.deadline import REAL
from constructs_lib.hooks.edge import PlannedEdges
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.rollout import Rollout


def rollout_of(platform: Platform, *, forgive: bool = False) -> Rollout:
    """What deploys on this platform: its Marathon, its sites' Consuls, its edges and its Prometheus.

    `forgive` tries versions again that turned round before. A platform without a Prometheus judges no canary:
    each waits for its promotion, or turns round as undecided.
    """
    clock = platform.deadline.clock
    return Rollout(
        marathon=platform.marathon,
        sites=platform.consuls,
        home=platform.home,
        edges=PlannedEdges(platform.endpoints, platform.consuls, platform.deadline),
        analyst=Analysts(platform.prometheuses) if platform.prometheuses else None,
        forgive=forgive,
        # What is kept has the time of day, which another process reads; tests' clocks are both.
        now=time.time if clock is REAL else clock.now,
    )
