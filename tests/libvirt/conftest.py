"""The real terraform with the real libvirt plugin, where CLUSTERMESOS_PLUGINS names a folder that has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.openstack.conftest import Terraform, with_plugin

PLUGIN = Path("registry.terraform.io", "dmacvicar", "libvirt")


@pytest.fixture(scope="module")
def libvirt_terraform(terraform: Path, tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform in an empty folder of this module's tests."""
    return with_plugin(PLUGIN, terraform, tmp_path_factory)
