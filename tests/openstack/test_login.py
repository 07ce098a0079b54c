"""Whoever deploys logs in by clouds.yaml or the environment, and nothing that is generated tells how."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.openstack import Network, site_provider
from constructs_lib.terraform import TerraformStack
from tests.openstack.clusters import Json, plan_of, settings, synthesize, with_site
from tests.openstack.conftest import Terraform
from tests.openstack.double import OpenstackDouble
from tests.openstack.double_server import running

pytestmark = pytest.mark.terraform
PASSWORD = "correct-horse-battery"
CREDENTIAL = "21dced0fd20347869b93710d2b98aae0"
WAYS: dict[str, Json] = {
    "password": {
        "auth": {
            "username": "ops",
            "password": PASSWORD,
            "project_name": "p",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }
    },
    "application_credential": {
        "auth_type": "v3applicationcredential",
        "auth": {"application_credential_id": CREDENTIAL, "application_credential_secret": PASSWORD},
    },
}


@pytest.fixture
def double() -> Iterator[OpenstackDouble]:
    with running() as one:
        yield one


def network_alone(cloud: str | None) -> Json:
    site = plan_of(with_site(settings("small"), openstack={"cloud": cloud} if cloud else {}))

    def build(stack: TerraformStack) -> None:
        site_provider(stack, site)
        Network(stack, "net", plan=site)

    return synthesize(build)


def deploy(terraform: Terraform, stack: Json, environ: dict[str, str]) -> None:
    """Deploy from a saved plan, which Terraform fills with all that it knows; destroy nothing."""
    there = dataclasses.replace(terraform, environ=terraform.environ | environ)
    (terraform.folder / "terraform.tfstate").unlink(missing_ok=True)
    there.write(stack)
    there("init", "-input=false")
    there("plan", "-input=false", "-out=plan")
    there("apply", "-input=false", "plan")
    assert "No changes." in there("plan", "-input=false", "-no-color")


def telling(folder: Path) -> list[str]:
    """Files of the stack's folder, its plugins aside, that have the password in them, a saved plan's too."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".terraform" not in path.parts]
    assert {"cdk.tf.json", "terraform.tfstate", "plan"} <= {path.name for path in files}
    return [path.name for path in files if PASSWORD.encode() in path.read_bytes()]


@pytest.mark.parametrize("way", WAYS)
def test_a_cloud_of_clouds_yaml_is_logged_in_to_as_that_file_says(
    way: str, double: OpenstackDouble, openstack_terraform: Terraform, tmp_path: Path
) -> None:
    entry: dict[str, Any] = {**WAYS[way], "region_name": "RegionOne"}
    entry["auth"] = entry["auth"] | {"auth_url": double.environment["OS_AUTH_URL"]}
    file = tmp_path / "clouds.yaml"
    file.write_text(json.dumps({"clouds": {"dc1": entry}}))  # JSON is YAML

    deploy(openstack_terraform, network_alone("dc1"), {"OS_CLIENT_CONFIG_FILE": str(file)})

    assert {tuple(login["methods"]) for login in double.logins} == {(way,)}
    assert {login[way].get("secret", PASSWORD) for login in double.logins} == {PASSWORD}
    assert double.named("networks", "small-dc1")
    assert telling(openstack_terraform.folder) == []


def test_an_application_credential_of_the_environment_is_logged_in_with(
    double: OpenstackDouble, openstack_terraform: Terraform
) -> None:
    environ = {
        "OS_AUTH_URL": double.environment["OS_AUTH_URL"],
        "OS_REGION_NAME": "RegionOne",
        "OS_APPLICATION_CREDENTIAL_ID": CREDENTIAL,
        "OS_APPLICATION_CREDENTIAL_SECRET": PASSWORD,
    }

    deploy(openstack_terraform, network_alone(None), environ)

    assert {login["application_credential"]["id"] for login in double.logins} == {CREDENTIAL}
    assert telling(openstack_terraform.folder) == []


def test_a_login_that_nobody_gave_is_told_by_the_plan_and_asks_nobody(
    double: OpenstackDouble, openstack_terraform: Terraform
) -> None:
    (openstack_terraform.folder / "terraform.tfstate").unlink(missing_ok=True)
    openstack_terraform.write(network_alone(None))
    openstack_terraform("init", "-input=false")

    refused = openstack_terraform.run("plan", "-input=false", "-no-color")

    assert refused.returncode == 1
    assert "One of 'auth_url' or 'cloud' must be specified" in refused.stderr
    assert double.logins == []
