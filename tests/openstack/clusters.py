"""Clusters for these tests, and how to read what they synthesize to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from constructs_lib.openstack import MesosCluster, site_provider
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import TerraformStack
from tests.hybrid.clusters import synthesized
from tests.synthesized import Json, made_once, only, plan_of, resources, synthesize, with_site

GOLDEN = Path(__file__).with_name("golden")
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
EVERY = [*CASES, "linked", "linked-home"]
"""The cases, a site that is joined to a home site elsewhere, and a home site that one is joined to."""

__all__ = [
    "CASES",
    "EVERY",
    "GOLDEN",
    "Json",
    "cluster_stack",
    "home_of_two",
    "only",
    "plan_of",
    "resources",
    "settings",
    "site_plan",
    "stack_anew",
    "stack_of",
    "synthesize",
    "with_site",
]


def settings(case: str) -> Json:
    """What a case's cluster.yaml says, free to be changed."""
    loaded: Json = yaml.safe_load((GOLDEN / case / "cluster.yaml").read_text(encoding="utf-8"))
    return loaded


def site_plan(case: str = "private", **site: Any) -> SitePlan:
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


def home_of_two(case: str = "private") -> Json:
    """The case's settings with a second site in the same cloud, whose gateway calls this one's."""
    given = settings(case)
    beside = {
        "platform": "openstack",
        "openstack": {"external_network": "public", "image": "ubuntu-24.04"},
        "network": "10.60.0.0/16",
        "agents": {"beside": {"count": 1}},
    }
    return given | {"sites": {**given["sites"], "dc2": beside}}


def stack_of(name: str) -> Json:
    """The stack of one of `EVERY`."""
    if name == "linked":
        return synthesized("hybrid")[1]["dc1"]
    if name == "linked-home":
        return cluster_stack(plan_of(home_of_two()))
    return cluster_stack(site_plan(name))
