"""The clusters that contracts are held against, as plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from constructs_lib.plan.model import ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.model import ClusterSpec
from tests.plan.clusters import ADMIN

HYBRID = Path(__file__).parent / "hybrid.yaml"


def hybrid() -> ClusterPlan:
    """The cluster of the examples: a private home on OpenStack, more room on AWS."""
    return plan(load(HYBRID))


def one_site(**settings: Any) -> ClusterPlan:
    """One AWS site with two pools; keyword arguments are settings of cluster.yaml."""
    site = {
        "platform": "aws",
        "aws": {"region": "eu-west-3"},
        "network": "10.20.0.0/16",
        "zones": 3,
        "agents": {
            "general": {"count": 3, "cpus": 4, "memory_gib": 16},
            "data": {"count": 1, "cpus": 2, "memory_gib": 8},
        },
        "edge": {"count": 1},
    }
    given = {"name": "demo", "admin": ADMIN, "sites": {"eu": site | settings.pop("site", {})}}
    return plan(ClusterSpec.model_validate(given | settings))
