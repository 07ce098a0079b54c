"""The real terraform with the real AWS plugin reads every golden stack; synth checks 6.x' schema."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.aws.clusters import CASES, cluster_stack, site_plan

pytestmark = pytest.mark.terraform


@pytest.mark.parametrize("case", CASES)
def test_terraform_takes_the_stack(
    case: str, terraform: Path, tool_environment: dict[str, str], tmp_path: Path
) -> None:
    # The plugin that can be had from a package registry; the golden stacks themselves ask for 6.x.
    stack = cluster_stack(site_plan(case, aws={"provider_version": "3.39.0"}))
    (tmp_path / "cdk.tf.json").write_text(json.dumps(stack), encoding="utf-8")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [terraform, *arguments],
            cwd=tmp_path,
            env=tool_environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("init", "-input=false", "-no-color")
    verdict = json.loads(run("validate", "-json"))

    assert (verdict["valid"], verdict["diagnostics"]) == (True, [])
