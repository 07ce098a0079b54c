"""The real terraform with the real plugins of all platforms, each where it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import cdktf
from scripts.tools import TOOLS
from tests.libvirt.conftest import PLUGIN as LIBVIRT
from tests.openstack.conftest import PLUGIN as OPENSTACK
from tests.openstack.conftest import Terraform

NEEDED = {
    "aws": Path("registry.terraform.io", "hashicorp", "aws"),
    "openstack": OPENSTACK,
    "libvirt": LIBVIRT,
}
"""Platform → where a mirror has its plugin."""
Run = Callable[[str], Terraform]


@pytest.fixture(scope="module")
def terraform_for(terraform: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Terraform in an empty folder, for a platform; skips where nobody has the platform's plugin.

    That of AWS is among the tools, the others are where CLUSTERMESOS_PLUGINS says.
    """
    named = os.environ.get("CLUSTERMESOS_PLUGINS")
    mirrors = [TOOLS / "plugins", *([Path(named).resolve()] if named else [])]

    def made(platform: str) -> Terraform:
        if not any((mirror / NEEDED[platform]).is_dir() for mirror in mirrors):
            pytest.skip(f"CLUSTERMESOS_PLUGINS names no folder with {NEEDED[platform]}")
        folder = tmp_path_factory.mktemp(platform, numbered=True)
        folder.chmod(0o700)
        rc = folder / "terraform.rc"
        blocks = "".join(f'  filesystem_mirror {{ path = "{mirror}" }}\n' for mirror in mirrors)
        rc.write_text(f"disable_checkpoint = true\nprovider_installation {{\n{blocks}}}\n")
        own = {name: value for name, value in cdktf.environment().items() if not name.startswith("OS_")}
        return Terraform(terraform, folder, own | {"TF_CLI_CONFIG_FILE": str(rc)})

    return made
