"""The network's MTU is neutron's own unless cluster.yaml says one, and never less than containers send."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Network

import pytest

from constructs_lib.openstack import Masters, Network, site_provider
from constructs_lib.terraform import TerraformStack
from tests.openstack.clusters import (
    Json,
    cluster_stack,
    only,
    plan_of,
    resources,
    settings,
    site_plan,
    synthesize,
)
from tests.openstack.conftest import Terraform
from tests.openstack.double_server import running

NETWORK = "openstack_networking_network_v2"


def created(stack: Json) -> Json:
    return only(stack, NETWORK)


def test_without_an_mtu_in_cluster_yaml_the_network_keeps_neutrons_own() -> None:
    site = site_plan("private")

    network = created(cluster_stack(site))

    assert "mtu" not in network
    assert (site.mtu, site.mtu_given) == (1400, False)


def test_an_mtu_in_cluster_yaml_is_the_networks_and_the_containers() -> None:
    site = site_plan("whole")

    assert created(cluster_stack(site))["mtu"] == site.mtu == site.container_mtu == 1442


@pytest.mark.parametrize("case", ["private", "whole"])
def test_a_network_that_takes_less_than_containers_send_stops_the_deploy_with_the_fix(case: str) -> None:
    site = site_plan(case)

    (condition,) = created(cluster_stack(site))["lifecycle"]["postcondition"]

    assert condition["condition"] == f"${{self.mtu == null ? true : self.mtu >= {site.mtu}}}"
    assert (
        f"set sites.{site.name}.mtu to ${{coalesce(self.mtu, 0)}} in cluster.yaml"
        in condition["error_message"]
    )


def test_every_machine_waits_for_the_network_that_is_wide_enough() -> None:
    stack = cluster_stack(site_plan())

    for address, body in resources(stack).items():
        if address.startswith("openstack_networking_port_v2."):
            assert body["network_id"].startswith(f"${{{NETWORK}.")


def test_a_network_that_is_there_already_is_asked_for_its_mtu() -> None:
    site = site_plan()

    def build(stack: TerraformStack) -> None:
        network = Network.existing(
            stack, "net", plan=site, network_id="n-1", subnet_id="s-1", range=IPv4Network("10.0.0.0/8")
        )
        Masters(stack, "m", plan=site, network=network)

    stack = synthesize(build)

    found = stack["data"][NETWORK]["net_network"]
    assert found["network_id"] == "n-1"
    assert (
        found["lifecycle"]["postcondition"][0]["condition"] == "${self.mtu == null ? true : self.mtu >= 1400}"
    )


def test_the_output_tells_the_networks_own() -> None:
    stack = cluster_stack(site_plan())

    assert stack["output"]["cluster"]["value"]["network_mtu"] == f"${{{NETWORK}.demo_network.mtu}}"


@pytest.mark.terraform
@pytest.mark.parametrize("there", [False, True], ids=["created", "existing"])
def test_terraform_makes_nothing_in_a_network_that_is_too_narrow(
    there: bool, openstack_terraform: Terraform
) -> None:
    """One network and the ports' own resource alone: the whole site's life is in test_apply.py."""
    given = settings("private")
    del given["sites"]["dc1"]["openstack"]["cloud"]
    site = plan_of(given)

    with running() as double:
        double.neutron.mtu = 1342

        def build(stack: TerraformStack) -> None:
            site_provider(stack, site)
            if there:
                made = double.add_network("theirs")
                Network.existing(
                    stack, "net", plan=site, network_id=made, subnet_id="s", range=IPv4Network("10.0.0.0/8")
                )
            else:
                Network(stack, "net", plan=site)

        terraform = dataclasses.replace(
            openstack_terraform, environ=openstack_terraform.environ | double.environment
        )
        terraform.write(synthesize(build))
        terraform("init", "-input=false")
        done = terraform.run("apply", "-auto-approve", "-input=false", "-no-color")

        assert done.returncode == 1
        assert "set sites.dc1.mtu to 1342" in " ".join(done.stderr.replace("│", "").split())
        assert not double.kept["subnets"]
