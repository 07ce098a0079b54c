"""Clusters for these tests, and how to read what they synthesize to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from constructs_lib.aws import MesosCluster, site_provider
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import TerraformStack
from tests.synthesized import Json, made_once, only, plan_of, resources, synthesize, with_site

GOLDEN = Path(__file__).with_name("golden")
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())

__all__ = [
    "CASES",
    "GOLDEN",
    "Json",
    "cluster_stack",
    "only",
    "plan_of",
    "resources",
    "settings",
    "site_plan",
    "stack_anew",
    "synthesize",
    "with_site",
]


def settings(case: str) -> Json:
    """What a case's cluster.yaml says, free to be changed."""
    loaded: Json = yaml.safe_load((GOLDEN / case / "cluster.yaml").read_text(encoding="utf-8"))
    return loaded


def site_plan(case: str = "demo", **site: Any) -> SitePlan:
    """The plan of the case's one site; keyword arguments change that site's settings."""
    return plan_of(with_site(settings(case), **site))


def stack_anew(site: SitePlan) -> Json:
    """A whole site's stack, as the synth command makes it."""

    def build(stack: TerraformStack) -> None:
        site_provider(stack, site)
        MesosCluster(stack, site.cluster, plan=site)

    return synthesize(build)


cluster_stack = made_once(stack_anew)
"""The same, synthesized once for each plan."""
