"""The real terraform with the real OpenStack plugin.

No package registry has the plugin: CLUSTERMESOS_PLUGINS names a folder that does, laid out as Terraform's
filesystem mirrors are.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts import cdktf
from tests.synthesized import Json

PLUGIN = Path("registry.terraform.io", "terraform-provider-openstack", "openstack")


@dataclass(frozen=True)
class Terraform:
    """Runs the command in one folder; nothing is downloaded, and nobody's own cloud is in its environment."""

    binary: Path
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Whatever comes of it."""
        return subprocess.run(
            [self.binary, *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            # A busy machine reads the schema of libvirt's plugin, 10 MB, for minutes.
            timeout=900,
            check=False,
        )

    def __call__(self, *arguments: str) -> str:
        """What it prints; a failure fails the test."""
        done = self.run(*arguments)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        return done.stdout

    def write(self, stack: Json) -> None:
        """Make the stack the folder's configuration, with its state beside it."""
        local = {"terraform": {**stack["terraform"], "backend": {"local": {"path": "terraform.tfstate"}}}}
        (self.folder / "cdk.tf.json").write_text(json.dumps(stack | local), encoding="utf-8")


@pytest.fixture(scope="module")
def openstack_terraform(terraform: Path, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform in an empty folder of this module's tests."""
    return with_plugin(PLUGIN, terraform, tmp_path_factory)


def with_plugin(plugin: Path, terraform: Path, folders: pytest.TempPathFactory) -> Terraform:
    """Terraform in an empty folder, with the mirror's plugins alone; skips where it lacks `plugin`."""
    mirror = Path(os.environ.get("CLUSTERMESOS_PLUGINS", "/nowhere")).resolve()
    if not (mirror / plugin).is_dir():
        pytest.skip(f"CLUSTERMESOS_PLUGINS names no folder with {plugin}")
    folder = folders.mktemp("terraform", numbered=True)
    folder.chmod(0o700)
    rc = folder / "terraform.rc"
    rc.write_text(f'provider_installation {{\n  filesystem_mirror {{ path = "{mirror}" }}\n}}\n')
    own = {name: value for name, value in cdktf.environment().items() if not name.startswith("OS_")}
    return Terraform(terraform, folder, own | {"TF_CLI_CONFIG_FILE": str(rc)})
