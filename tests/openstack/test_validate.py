"""The real terraform with the real OpenStack plugin reads every golden stack."""

from __future__ import annotations

import json

import pytest

from tests.openstack.clusters import CASES, cluster_stack, site_plan
from tests.openstack.conftest import Terraform

pytestmark = pytest.mark.terraform


@pytest.mark.parametrize("case", CASES)
def test_terraform_takes_the_stack(case: str, openstack_terraform: Terraform) -> None:
    openstack_terraform.write(cluster_stack(site_plan(case)))

    openstack_terraform("init", "-input=false", "-no-color")
    verdict = json.loads(openstack_terraform.run("validate", "-json").stdout)

    assert (verdict["valid"], verdict["diagnostics"]) == (True, [])
