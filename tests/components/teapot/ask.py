"""Run on a copy of the library: what becomes of each cluster.yaml that is named, as JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from constructs_lib.components.model import Role
from constructs_lib.errors import SpecFileError
from constructs_lib.nodes.generation import SecretSource, manifest
from constructs_lib.nodes.render import render
from constructs_lib.plan.alerts import platform_rules
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from constructs_lib.synth import synthesize


def nodes(file: Path) -> dict[str, Any]:
    """The first node of each role: its files by path, and what its program is told."""
    site = plan(load(file)).site("eu")
    firsts = {role: site.nodes_of(role)[0] for role in (Role.EDGE, Role.CONSUL)}
    found = {role.value: render(site, node) for role, node in firsts.items()}
    return {
        role: {
            "files": {one.path: one.content for one in files.files},
            "manifest": manifest(files, SecretSource(command="get")),
            "checks": {stage.component: stage.checks for stage in files.stages},
        }
        for role, files in found.items()
    }


def told(file: Path) -> dict[str, Any]:
    """Its nodes and its stack, or why it is refused."""
    try:
        alerts = platform_rules(plan(load(file)).site("eu"))
        return {"nodes": nodes(file), "alerts": alerts, "stack": stack(file)}
    except SpecFileError as error:
        return {"refused": str(error)}


def stack(file: Path) -> Any:
    """What Terraform gets."""
    os.chdir(file.parent)
    synthesis = synthesize(Workspace(file), outdir=file.parent / "out", with_secrets=False)
    return json.loads((synthesis.outdir / "stacks" / synthesis.stacks["eu"] / "cdk.tf.json").read_text())


print(json.dumps([told(Path(name).resolve()) for name in sys.argv[1:]]))  # noqa: T201 - that is its answer
