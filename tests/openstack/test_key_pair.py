"""Machines have the key pair that cluster.yaml names, or one that is made of its key, or none."""

from __future__ import annotations

import dataclasses
import json

import pytest

from constructs_lib.openstack import AgentPool, Masters, Network, site_provider
from constructs_lib.openstack.key_pair import key_pair
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import Output, TerraformStack
from tests.openstack.clusters import Json, cluster_stack, plan_of, resources, settings, synthesize
from tests.openstack.conftest import Terraform
from tests.openstack.double_server import running
from tests.openstack.test_machines import MACHINE, of_kind

PAIR = "openstack_compute_keypair_v2"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAtWHj8rtM8QGUNPFcZG/fTVYiYrfsKyKF6Ya+W74bef"


def site_with(**openstack: str) -> SitePlan:
    given = settings("private")
    del given["sites"]["dc1"]["openstack"]["cloud"]
    given["sites"]["dc1"]["openstack"] |= openstack
    return plan_of(given)


def test_without_a_word_machines_have_none() -> None:
    stack = cluster_stack(site_with())

    assert PAIR not in stack["resource"]
    assert all("key_pair" not in body for body in of_kind(stack, MACHINE).values())


def test_one_that_is_there_is_named_and_not_made() -> None:
    stack = cluster_stack(site_with(key_pair="ops laptop"))

    assert PAIR not in stack["resource"]
    assert {body["key_pair"] for body in of_kind(stack, MACHINE).values()} == {"ops laptop"}


def test_a_public_key_makes_one_for_all_machines_by_a_name_of_cluster_and_site_and_no_other() -> None:
    stack = cluster_stack(site_with(public_key=KEY))

    assert stack["resource"][PAIR] == {
        "demo_key-pair": {
            "name": "demo-dc1-${substr(terraform_data.demo_key-pair-mark.id, 0, 8)}",
            "public_key": KEY,
        }
    }
    machines = of_kind(stack, MACHINE)
    assert len(machines) == 6
    assert {body["key_pair"] for body in machines.values()} == {f"${{{PAIR}.demo_key-pair.name}}"}


def test_a_key_is_what_nova_reads_and_terraform_takes_as_it_is() -> None:
    stack = cluster_stack(site_with(public_key=KEY.replace(" ", "   ") + " ${HOME}  laptop"))

    assert stack["resource"][PAIR]["demo_key-pair"]["public_key"] == f"{KEY} $${{HOME}} laptop"


def test_masters_and_a_pool_alone_make_it_once() -> None:
    site = site_with(public_key=KEY)

    def build(stack: TerraformStack) -> None:
        network = Network(stack, "net", plan=site)
        Masters(stack, "m", plan=site, network=network)
        AgentPool(stack, "a", plan=site, pool="general", network=network)

    found = resources(synthesize(build))

    assert [address for address in found if address.startswith(PAIR)] == [f"{PAIR}.m_key-pair"]
    for name in ("m", "a"):
        assert found[f"{MACHINE}{name}"]["key_pair"] == f"${{{PAIR}.m_key-pair.name}}"


@pytest.mark.terraform
def test_two_clusters_of_one_name_and_of_one_user_have_two(openstack_terraform: Terraform) -> None:
    """In two projects, say; the user's key pairs are the same in both."""
    site = site_with(public_key=KEY)

    def build(stack: TerraformStack) -> None:
        site_provider(stack, site)
        Output(stack, "name", key_pair(stack, site))

    def applied(terraform: Terraform, stack: Json) -> str:
        terraform.write(stack)
        terraform("init", "-input=false")
        terraform("apply", "-auto-approve", "-input=false")
        assert "No changes." in terraform("plan", "-input=false", "-no-color")
        return str(json.loads(terraform("output", "-json"))["name"]["value"])

    with running() as double:
        one = dataclasses.replace(
            openstack_terraform, environ=openstack_terraform.environ | double.environment
        )
        first = applied(one, synthesize(build))
        (one.folder / "terraform.tfstate").rename(one.folder / "first.tfstate")
        second = applied(one, synthesize(build))

        assert first != second
        assert list(double.kept["os-keypairs"]) == [first, second]
