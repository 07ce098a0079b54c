"""The real Terraform, and a stack to fill."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.terraform import App, TerraformStack, local_backend

ROOT = Path(__file__).parents[2]
AWS_PLUGIN = Path("registry.terraform.io", "hashicorp", "aws", "3.39.0")


@pytest.fixture
def stack(tmp_path: Path) -> TerraformStack:
    stack = TerraformStack(App(outdir=str(tmp_path / "out")), "eu")
    local_backend(stack, "terraform.tfstate")
    return stack


@dataclass(frozen=True)
class Terraform:
    """Runs the real command in one folder; `plugins` is a filesystem mirror: nothing is downloaded."""

    binary: str
    folder: Path
    plugins: Path | None

    def __call__(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments).stdout)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        settings = self.folder / "terraform.rc"
        if not settings.exists():
            mirror = f'filesystem_mirror {{ path = "{self.plugins or self.folder / "none"}" }}'
            settings.write_text(f"disable_checkpoint = true\nprovider_installation {{\n  {mirror}\n}}\n")
        own = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
        environment = {**own, "TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1"}
        return subprocess.run(
            [self.binary, *arguments],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip


@pytest.fixture(scope="session")
def terraform_binary() -> str:
    """TERRAFORM_BINARY_NAME, else `.tools/bin/terraform`, else terraform on PATH."""
    wanted = os.environ.get("TERRAFORM_BINARY_NAME", "terraform")
    found = shutil.which(wanted, path=f"{ROOT / '.tools' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    return found or pytest.skip(f"{wanted} is not installed: make tools")


@pytest.fixture(scope="session")
def aws_plugin() -> Path:
    """The filesystem mirror that holds the AWS plugin 3.39.0: CLUSTERMESOS_PLUGINS, else `.tools/plugins`."""
    mirror = Path(os.environ.get("CLUSTERMESOS_PLUGINS", ROOT / ".tools" / "plugins")).resolve()
    if not (mirror / AWS_PLUGIN).is_dir():
        pytest.skip(f"{mirror / AWS_PLUGIN} is not installed: make tools")
    return mirror


@pytest.fixture
def run_terraform(terraform_binary: str, tmp_path: Path) -> Terraform:
    """Terraform in an empty folder, with only what is built into it."""
    return _terraform(terraform_binary, tmp_path, None)


@pytest.fixture
def run_terraform_aws(terraform_binary: str, aws_plugin: Path, tmp_path: Path) -> Terraform:
    """Terraform in an empty folder, with the real AWS plugin."""
    return _terraform(terraform_binary, tmp_path, aws_plugin)


def _terraform(binary: str, tmp_path: Path, plugins: Path | None) -> Terraform:
    folder = tmp_path / "terraform"
    folder.mkdir()
    return Terraform(binary, folder, plugins)
