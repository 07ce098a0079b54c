"""What deploys and scales, over a platform's own APIs."""

from __future__ import annotations

from collections.abc import Sequence

from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.hooks.agents import Agents
from constructs_lib.hooks.analysis import Analysts
from constructs_lib.hooks.apart import ConsulDeployments, Deployments
from constructs_lib.hooks.edge import PlannedEdges
from constructs_lib.hooks.explaining import Explainers
from constructs_lib.hooks.platform import Platform, time_of
from constructs_lib.hooks.rollout import Rollout
from constructs_lib.hooks.scaler import Scaler
from constructs_lib.hooks.usage import SIGNALS, History, Usage


def rollout_of(platform: Platform, compiled: Compiled | None = None, *, forgive: bool = False) -> Rollout:
    """What deploys on this platform: its Marathon, its sites' Consuls, its edges and its Prometheus.

    `compiled` is what the contract that is deployed may depend on: with it a deployment that is stuck says
    why. `forgive` tries versions again that turned round before. A platform without a Prometheus judges no
    canary: each waits for its promotion, or turns round as undecided.
    """
    explains = platform.endpoints.has("mesos")
    return Rollout(
        marathon=platform.marathon,
        sites=platform.consuls,
        home=platform.home,
        edges=PlannedEdges(platform.endpoints, platform.consuls, platform.deadline),
        analyst=Analysts(platform.prometheuses) if platform.prometheuses else None,
        placing=platform.placements,
        explainer=Explainers(platform=platform, compiled=compiled) if compiled and explains else None,
        forgive=forgive,
        apart=_apart(platform),
        now=time_of(platform),
    )


def _apart(platform: Platform) -> Deployments:
    home = platform.consuls.get(platform.home)
    return ConsulDeployments(home, platform.another_consul) if home is not None else Deployments()


def scaler_of(platform: Platform, contracts: Sequence[CompiledContract], history: History) -> Scaler:
    """What scales these contracts on this platform; `history` goes from one platform to the next one."""
    rollout = rollout_of(platform)
    followed = {one.name: one.instances.scaling.signal for one in contracts if one.instances.scaling}
    usage = Usage(
        marathon=platform.marathon,
        agents=Agents(platform.plan, platform.mesos, platform.endpoints, platform.deadline),
        owners=[(one.cluster, one.name) for one in contracts if followed.get(one.name) in SIGNALS],
        now=rollout.now,
        sleep=platform.deadline.sleep,
        history=history,
    )
    return Scaler(rollout=rollout, sites=platform.prometheuses, usage=usage)
