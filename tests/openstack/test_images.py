"""Machines start from an image by id, the newest of a name, or one that is uploaded once and kept."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pytest

from constructs_lib.openstack import ConsulNode, Masters, Network, site_provider
from constructs_lib.openstack.images import machine_image
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.terraform import Output, TerraformStack
from tests.openstack.clusters import Json, cluster_stack, plan_of, resources, settings, synthesize
from tests.openstack.conftest import Terraform
from tests.openstack.double_server import running
from tests.openstack.test_machines import MACHINE, of_kind
from tests.sites.qcow2 import qcow2

IMAGE = "openstack_images_image_v2"
CONTENT = qcow2()
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def uploading(path: Path | str = "/srv/noble.qcow2", digest: str = DIGEST) -> Json:
    given = settings("private")
    openstack = given["sites"]["dc1"]["openstack"]
    del openstack["image"]
    openstack["upload"] = {"path": str(path), "sha256": digest}
    return given


def test_an_uploaded_image_is_named_by_its_checksum_and_found_by_its_id() -> None:
    stack = cluster_stack(plan_of(uploading()))

    image = stack["resource"][IMAGE]["demo_image"]
    assert image["name"] == "demo-dc1-${each.key}"
    assert image["for_each"] == f'${{merge({{"{DIGEST}" = "/srv/noble.qcow2"}})}}'
    assert IMAGE not in stack["data"]
    for body in of_kind(stack, MACHINE).values():
        assert body["block_device"][0]["uuid"] == f'${{{IMAGE}.demo_image["{DIGEST}"].id}}'


def test_an_image_that_disks_may_stand_on_stays_when_another_one_comes() -> None:
    first = plan(from_dict(uploading()))
    other = "b" * 64

    second = plan(from_dict(uploading(digest=other)), first.lock)

    stack = cluster_stack(second.site("dc1"))
    kept = stack["resource"][IMAGE]["demo_image"]["for_each"]
    assert re.findall("[0-9a-f]{64}", kept) == [DIGEST, other]
    assert f'["{other}"].id' in of_kind(stack, MACHINE)["demo_masters"]["block_device"][0]["uuid"]


def test_an_image_that_another_operators_home_folder_would_change() -> None:
    """The plugin writes that folder into the state; so nothing of an image is ever changed."""
    image = cluster_stack(plan_of(uploading()))["resource"][IMAGE]["demo_image"]

    assert image["lifecycle"] == {"ignore_changes": "all"}


def test_an_url_that_the_plugin_would_fetch_unchecked_and_keep_for_ever() -> None:
    image = cluster_stack(plan_of(uploading()))["resource"][IMAGE]["demo_image"]

    assert not {"image_source_url", "web_download"} & image.keys()
    assert image["local_file_path"] == '${"images/${terraform_data.demo_image-file[each.key].output}"}'


def test_masters_and_consul_alone_upload_it_once() -> None:
    site = plan_of(uploading())

    def build(stack: TerraformStack) -> None:
        network = Network(stack, "net", plan=site)
        Masters(stack, "m", plan=site, network=network)
        ConsulNode(stack, "c", plan=site, network=network)

    found = resources(synthesize(build))

    assert [address for address in found if address.startswith(f"{IMAGE}.")] == [f"{IMAGE}.m_image"]
    for name in ("m", "c"):
        assert "m_image" in found[f"openstack_compute_instance_v2.{name}"]["block_device"][0]["uuid"]


def image_alone(site: SitePlan) -> Json:
    def build(stack: TerraformStack) -> None:
        site_provider(stack, site)
        Output(stack, "image_id", machine_image(stack, site))

    return synthesize(build)


def on_this_cloud(path: Path, digest: str = DIGEST) -> SitePlan:
    given = uploading(path, digest)
    del given["sites"]["dc1"]["openstack"]["cloud"]
    return plan_of(given)


@pytest.mark.terraform
def test_terraform_uploads_a_file_with_its_checksum_alone_and_then_plans_nothing(
    openstack_terraform: Terraform, tmp_path: Path
) -> None:
    file = tmp_path / "noble.qcow2"
    file.write_bytes(CONTENT)
    with running() as double:
        terraform = dataclasses.replace(
            openstack_terraform, environ=openstack_terraform.environ | double.environment
        )
        terraform.write(image_alone(on_this_cloud(file, "0" * 64)))
        terraform("init", "-input=false")
        refused = terraform.run("apply", "-auto-approve", "-input=false", "-no-color")
        assert (refused.returncode, double.asked) == (1, ["POST /v3/auth/tokens"] * len(double.asked))
        assert f"has the sha256 {DIGEST}" in " ".join(refused.stderr.split())

        terraform.write(image_alone(on_this_cloud(file)))
        terraform("apply", "-auto-approve", "-input=false")
        made = double.named("images", f"demo-dc1-{DIGEST}")
        assert json.loads(terraform("output", "-json"))["image_id"]["value"] == made["id"]
        assert double.glance.uploaded[made["id"]] == CONTENT

        file.unlink()
        another = replace_home(terraform, tmp_path)
        assert "No changes." in another("plan", "-input=false", "-no-color")
        terraform("destroy", "-auto-approve", "-input=false")


def replace_home(terraform: Terraform, home: Path) -> Terraform:
    """As another operator would run it."""
    return dataclasses.replace(terraform, environ=terraform.environ | {"HOME": str(home)})
