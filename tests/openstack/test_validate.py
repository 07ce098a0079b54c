"""The real terraform with the real OpenStack plugin reads every golden stack.

No package registry has the plugin: CLUSTERMESOS_PLUGINS names a folder that does, laid out as Terraform's
filesystem mirrors are.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.openstack.clusters import CASES, cluster_stack, site_plan

pytestmark = pytest.mark.terraform

PLUGIN = Path("registry.terraform.io", "terraform-provider-openstack", "openstack")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(terraform: Path, tool_environment: dict[str, str], tmp_path: Path) -> Run:
    """Terraform in an empty folder; nothing is downloaded."""
    mirror = Path(os.environ.get("CLUSTERMESOS_PLUGINS", "/nowhere")).resolve()
    if not (mirror / PLUGIN).is_dir():
        pytest.skip(f"CLUSTERMESOS_PLUGINS names no folder with {PLUGIN}")
    rc = tmp_path / "terraform.rc"
    rc.write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{mirror}" }}\n}}\n')
    own = {name: value for name, value in tool_environment.items() if not name.startswith("OS_")}

    def terraform_in_folder(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [terraform, *arguments],
            cwd=tmp_path,
            env=own | {"TF_CLI_CONFIG_FILE": str(rc)} | environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return terraform_in_folder


@pytest.mark.parametrize("case", CASES)
def test_terraform_takes_the_stack(case: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "cdk.tf.json").write_text(json.dumps(cluster_stack(site_plan(case))), encoding="utf-8")

    ready = run("init", "-input=false", "-no-color")
    assert ready.returncode == 0, ready.stdout + ready.stderr
    verdict = json.loads(run("validate", "-json").stdout)

    assert (verdict["valid"], verdict["diagnostics"]) == (True, [])
