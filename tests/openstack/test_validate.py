"""The real terraform with the real OpenStack plugin reads every golden stack and the examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.aws.test_examples import ROOT, run
from tests.openstack.clusters import CASES, Json, cluster_stack, site_plan
from tests.openstack.conftest import Terraform

pytestmark = pytest.mark.terraform


EXAMPLES = sorted(
    path for path in (ROOT / "examples").glob("*.py") if "constructs_lib.openstack" in path.read_text("utf-8")
)


def validate(terraform: Terraform, stack: Json) -> None:
    terraform.write(stack)
    terraform("init", "-input=false", "-no-color")
    verdict = json.loads(terraform.run("validate", "-json").stdout)
    assert (verdict["valid"], verdict["diagnostics"]) == (True, [])


@pytest.mark.parametrize("case", CASES)
def test_terraform_takes_the_stack(case: str, openstack_terraform: Terraform) -> None:
    validate(openstack_terraform, cluster_stack(site_plan(case)))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_terraform_takes_the_stack_of_an_example(
    example: Path, openstack_terraform: Terraform, tmp_path: Path
) -> None:
    validate(openstack_terraform, run(tmp_path, str(example)))
