"""A container for backups, where cluster.yaml asks for one, and no credential for it anywhere."""

from __future__ import annotations

import dataclasses
import json

import pytest

from constructs_lib.openstack import BackupBucket, site_provider
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import Output, TerraformStack
from tests.openstack.clusters import Json, cluster_stack, only, plan_of, settings, synthesize
from tests.openstack.conftest import Terraform
from tests.openstack.double_server import running

CONTAINER = "openstack_objectstorage_container_v1"


def backing_up(*, protect: bool = True) -> SitePlan:
    given = settings("private")
    del given["sites"]["dc1"]["openstack"]["cloud"]
    given["sites"]["dc1"]["openstack"]["backup_container"] = True
    given["sites"]["dc1"]["protect_data"] = protect
    return plan_of(given)


def test_none_is_made_where_none_is_asked_for() -> None:
    stack = cluster_stack(plan_of(settings("private")))

    assert CONTAINER not in stack["resource"]
    assert "backup_bucket" not in stack["output"]["cluster"]["value"]


def test_it_is_the_projects_alone_and_stays_with_protected_data() -> None:
    stack = cluster_stack(backing_up())

    container = only(stack, CONTAINER)
    assert container == {
        "name": "demo-dc1-backup",
        "force_destroy": False,
        "lifecycle": {"prevent_destroy": True},
    }
    assert stack["output"]["cluster"]["value"]["backup_bucket"] == f"${{{CONTAINER}.demo_backup.id}}"


def test_without_protection_it_goes_with_what_is_in_it() -> None:
    assert only(cluster_stack(backing_up(protect=False)), CONTAINER)["force_destroy"] is True


def test_no_credential_for_it_is_made_or_written() -> None:
    stack = cluster_stack(backing_up())

    assert not [kind for kind in stack["resource"] if "credential" in kind]
    assert stack["variable"].keys() == cluster_stack(plan_of(settings("private")))["variable"].keys()


def alone(site: SitePlan) -> Json:
    def build(stack: TerraformStack) -> None:
        site_provider(stack, site)
        Output(stack, "bucket", BackupBucket(stack, "backup", plan=site).name)

    return synthesize(build)


@pytest.mark.terraform
def test_terraform_makes_it_once_and_keeps_it_while_data_is_protected(openstack_terraform: Terraform) -> None:
    with running() as double:
        terraform = dataclasses.replace(
            openstack_terraform, environ=openstack_terraform.environ | double.environment
        )
        terraform.write(alone(backing_up()))
        terraform("init", "-input=false")
        terraform("apply", "-auto-approve", "-input=false")

        assert json.loads(terraform("output", "-json"))["bucket"]["value"] == "demo-dc1-backup"
        assert "No changes." in terraform("plan", "-input=false", "-no-color")
        assert "prevent_destroy" in terraform.run("destroy", "-auto-approve", "-no-color").stderr
        assert list(double.kept["containers"]) == ["demo-dc1-backup"]

        terraform.write(alone(backing_up(protect=False)))
        terraform("destroy", "-auto-approve", "-input=false")
        assert not double.kept["containers"]
