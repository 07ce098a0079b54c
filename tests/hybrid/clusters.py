"""Clusters of several sites, and what the synth command makes of them."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from constructs_lib.plan.model import ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from constructs_lib.synth import synthesize

GOLDEN = Path(__file__).with_name("golden")
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
Json = dict[str, Any]


def cluster_plan(case: str) -> ClusterPlan:
    """The plan of a case."""
    return plan(load(GOLDEN / case / "cluster.yaml"))


def settings(case: str) -> Json:
    """What a case's cluster.yaml says, free to be changed."""
    loaded: Json = yaml.safe_load((GOLDEN / case / "cluster.yaml").read_text(encoding="utf-8"))
    return loaded


@cache
def synthesized(case: str) -> tuple[Json, dict[str, Json]]:
    """The engine's manifest, and each site's stack without the engine's metadata."""
    return synthesized_of((GOLDEN / case / "cluster.yaml").read_text(encoding="utf-8"))


def synthesized_of(text: str) -> tuple[Json, dict[str, Json]]:
    """The same of any cluster.yaml."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "cluster.yaml")
        file.write_text(text, encoding="utf-8")
        done = synthesize(Workspace(file), outdir=Path(folder, "cdktf.out"), with_secrets=False)
        stacks = {
            site: without_metadata(json.loads((done.outdir / "stacks" / name / "cdk.tf.json").read_text()))
            for site, name in done.stacks.items()
        }
        return json.loads((done.outdir / "manifest.json").read_text()), stacks


def without_metadata(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_metadata(below) for key, below in value.items() if key != "//"}
    return [without_metadata(below) for below in value] if isinstance(value, list) else value
