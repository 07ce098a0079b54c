"""Clusters for these tests, and how to read what they synthesize to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from constructs_lib.libvirt import MesosCluster, site_provider
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import TerraformStack
from tests.hybrid.clusters import synthesized
from tests.synthesized import Json, made_once, only, plan_of, resources, synthesize, with_site

GOLDEN = Path(__file__).with_name("golden")
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
EVERY = [*CASES, "linked"]
"""The cases, and a site that is joined to a home site elsewhere."""

__all__ = [
    "CASES",
    "EVERY",
    "GOLDEN",
    "Json",
    "cluster_stack",
    "of_kind",
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


def of_kind(stack: Json, kind: str) -> dict[str, Json]:
    """Name → body of every resource whose address starts with `kind`."""
    return {name.removeprefix(kind): body for name, body in resources(stack).items() if name.startswith(kind)}


def stack_of(name: str) -> Json:
    """The stack of one of `EVERY`."""
    if name == "linked":
        return synthesized("plain_hosts")[1]["dc1"]
    return cluster_stack(site_plan(name))
