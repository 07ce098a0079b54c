"""The benchmark's clusters: alike on every platform, and flat to 10,000 agents."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from bench.platforms import PLATFORMS, cluster_text, named
from bench.same import count
from constructs_lib.spec.workspace import Workspace
from constructs_lib.synth import synthesize

SMALL, LARGE = 10, 10_000


@cache
def stacks(platform: str, agents: int) -> tuple[str, ...]:
    """Each stack's text, as Terraform reads it."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "cluster.yaml")
        file.write_text(cluster_text(platform, agents))
        done = synthesize(Workspace(file), outdir=Path(folder, "cdktf.out"), with_secrets=False)
        paths = [done.outdir / "stacks" / name / "cdk.tf.json" for name in done.stacks.values()]
        return tuple(path.read_text() for path in paths)


def loaded(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
def test_stacks_of_ten_thousand_agents_are_as_large_as_those_of_ten(platform: str) -> None:
    few, many = stacks(platform, SMALL), stacks(platform, LARGE)

    assert len(few) == len(many) == (2 if platform == "hybrid" else 1)
    for small, large in zip(few, many, strict=True):
        assert count(loaded(large)) == count(loaded(small))
        # Not a byte more but digits: the same text, whatever numbers stand in it.
        assert re.sub(r"\d+", "0", large) == re.sub(r"\d+", "0", small)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_makes_the_same_nodes(platform: str) -> None:
    written = cluster_text(platform, SMALL)

    for wanted in ("masters:", "consul:", "general:", "edge:", f"count: {SMALL}"):
        assert wanted in written
    assert named(platform, LARGE) == f"{platform}, 10,000 agents"
