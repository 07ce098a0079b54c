"""The real terraform with the real libvirt plugin reads every golden stack."""

from __future__ import annotations

import pytest

from tests.libvirt.clusters import CASES, cluster_stack, site_plan
from tests.openstack.conftest import Terraform
from tests.openstack.test_validate import validate

pytestmark = pytest.mark.terraform


@pytest.mark.parametrize("case", CASES)
def test_terraform_takes_the_stack(case: str, libvirt_terraform: Terraform) -> None:
    validate(libvirt_terraform, cluster_stack(site_plan(case)))
