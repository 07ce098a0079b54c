"""The direction of the arrows: who may import whom, and what the road to synth never loads."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).parents[1]
NOT_ON_THE_ROAD = {"boto3", "botocore", "checkov", "click", "requests", "cryptography", "moto"}


def test_layers_hold() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS


@pytest.mark.parametrize("folder", ["constructs_lib", "cloud-init"])
def test_nothing_asks_which_platform_a_site_is_on(folder: str) -> None:
    """What differs is data (spec/platforms.py) or a module of the platform's name."""
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".j2")]
    asks = [path for path in files if re.search(r"platform (==|!=|in) ?[\"'(\[]", path.read_text("utf-8"))]
    assert files and asks == []


def test_planning_loads_no_engine() -> None:
    assert not {"cdktf", "cdktn", "jsii", "constructs", "jinja2"} & _loaded("constructs_lib.plan.plan")


def test_rendering_loads_no_engine() -> None:
    assert not {"cdktf", "cdktn", "jsii", "constructs"} & _loaded("constructs_lib.nodes.render")


@pytest.mark.parametrize("module", ["constructs_lib.synth", "constructs_lib.aws", "constructs_lib.openstack"])
def test_the_road_to_synth_loads_no_command_line_cloud_or_policy_library(module: str) -> None:
    assert not NOT_ON_THE_ROAD & _loaded(module)


@pytest.mark.parametrize("folder", ["bench", "cloud-init", "scripts", "tests"])
def test_no_file_hides_a_module_of_python_from_a_script_that_is_started_beside_it(folder: str) -> None:
    names = {path.stem: path for path in (ROOT / folder).rglob("*.py")}

    assert not names.keys() & sys.stdlib_module_names


def _loaded(module: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after importing `module`."""
    code = f"import json, sys, {module}; print(json.dumps([name.split('.')[0] for name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))
