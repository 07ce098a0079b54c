"""Containers send what the network takes, by neutron's own number, unless cluster.yaml or links say less."""

from __future__ import annotations

import dataclasses
import json
from ipaddress import IPv4Network

import pytest

from constructs_lib.access.deployed import read_outputs
from constructs_lib.components.model import Role
from constructs_lib.openstack import AgentPool, Masters, Network, site_provider
from constructs_lib.openstack.network import LEAST_MTU
from constructs_lib.openstack.secrets import secret_source
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from constructs_lib.rollout.wanted import wanted
from constructs_lib.terraform import Output, Resource, TerraformStack
from tests.openstack.clusters import (
    Json,
    cluster_stack,
    home_of_two,
    only,
    plan_of,
    resources,
    settings,
    site_plan,
    synthesize,
)
from tests.openstack.conftest import Terraform
from tests.openstack.deployed import said
from tests.openstack.double_server import running

NETWORK = "openstack_networking_network_v2"
DAEMON = "/etc/docker/daemon.json"


def created(stack: Json) -> Json:
    return only(stack, NETWORK)


def condition(body: Json) -> Json:
    (one,) = body["lifecycle"]["postcondition"]
    assert isinstance(one, dict)
    return one


def texts(stack: Json) -> list[str]:
    """Those of nodes with Docker."""
    kept = [text for key, text in stack["locals"].items() if key.endswith("_user_data")]
    every = [one for text in kept for one in (text.values() if isinstance(text, dict) else [text])]
    return [text for text in every if DAEMON in text]


def in_theirs(stack: TerraformStack, site: SitePlan, network_id: str = "n-1") -> Network:
    """The site's network, where it is there already."""
    whole = IPv4Network("10.0.0.0/8")
    return Network.existing(
        stack, "net", plan=site, network_id=network_id, subnet_id="s", range=whole, router_id="r"
    )


def test_without_an_mtu_in_cluster_yaml_containers_send_what_the_network_takes() -> None:
    site = site_plan("private")

    stack = cluster_stack(site)

    assert "mtu" not in created(stack)
    assert len(texts(stack)) == 3 + 1 + 2
    for text in texts(stack):
        assert f'"mtu": ${{tostring({NETWORK}.demo_network.mtu)}},' in text


def test_an_mtu_in_cluster_yaml_is_the_networks_and_the_containers() -> None:
    site = site_plan("whole")

    stack = cluster_stack(site)

    assert created(stack)["mtu"] == site.mtu == site.container_mtu == 1442
    assert texts(stack) and all('"mtu": 1442,' in text for text in texts(stack))


def test_with_links_containers_send_what_passes_those_on_any_network_that_the_site_may_have() -> None:
    site = plan_of(home_of_two())
    assert site.link

    stack = cluster_stack(site)

    assert site.container_mtu == site.link.mtu == 1320
    assert condition(created(stack))["condition"].endswith(">= 1400}")
    assert all('"mtu": 1320,' in text for text in texts(stack))


def test_a_network_that_takes_less_than_anybody_can_mean_stops_the_deploy() -> None:
    one = condition(created(cluster_stack(site_plan("private"))))

    assert one["condition"] == f'${{self.id == "" ? true : coalesce(self.mtu, 0) >= {LEAST_MTU}}}'
    assert "say what passes as sites.dc1.mtu in cluster.yaml" in one["error_message"]


def test_a_network_that_takes_less_than_cluster_yaml_says_stops_the_deploy_with_the_fix() -> None:
    site = site_plan("whole")

    one = condition(created(cluster_stack(site)))

    assert one["condition"] == f'${{self.id == "" ? true : coalesce(self.mtu, 0) >= {site.mtu}}}'
    assert f"set sites.{site.name}.mtu to ${{coalesce(self.mtu, 0)}} in cluster.yaml" in one["error_message"]


def test_every_machine_waits_for_the_network_that_is_wide_enough() -> None:
    stack = cluster_stack(site_plan())

    for address, body in resources(stack).items():
        if address.startswith("openstack_networking_port_v2."):
            assert body["network_id"].startswith(f"${{{NETWORK}.")


def test_a_network_that_is_there_already_is_asked_for_its_mtu() -> None:
    site = site_plan()

    def build(stack: TerraformStack) -> None:
        network = in_theirs(stack, site)
        Masters(stack, "m", plan=site, network=network)
        AgentPool(stack, "a", plan=site, pool="general", network=network)

    stack = synthesize(build)

    found = stack["data"][NETWORK]["net_network"]
    assert found["network_id"] == "n-1"
    assert condition(found)["condition"].endswith(f">= {LEAST_MTU}}}")
    assert len(texts(stack)) == 4
    for text in texts(stack):
        address = f"data.{NETWORK}.net_network"
        assert f'"mtu": ${{tostring({address}.id == "" ? 0 : {address}.mtu)}},' in text


def test_the_output_tells_the_networks_own() -> None:
    told = cluster_stack(site_plan())["output"]["cluster"]["value"]

    assert told["network_mtu"] == f"${{{NETWORK}.demo_network.mtu}}"
    assert told["late_values"]["network_mtu:dc1"] == f"${{tostring({NETWORK}.demo_network.mtu)}}"


def narrow_site(**changed: object) -> SitePlan:
    given = settings("private")
    del given["sites"]["dc1"]["openstack"]["cloud"]
    given["sites"]["dc1"] |= changed
    return plan_of(given)


@pytest.mark.terraform
@pytest.mark.parametrize(
    ("takes", "given", "says"),
    [
        (1279, {}, "takes packets of 1279 bytes at most, and nodes need 1280: give it more"),
        (0, {}, "takes packets of 0 bytes at most, and nodes need 1280"),
        (1342, {"mtu": 1400}, "set sites.dc1.mtu to 1342"),
    ],
    ids=["less-than-ipv6-wants", "untold", "less-than-said"],
)
@pytest.mark.parametrize("there", [False, True], ids=["created", "existing"])
def test_terraform_makes_nothing_in_a_network_that_is_too_narrow(
    there: bool, takes: int, given: Json, says: str, openstack_terraform: Terraform
) -> None:
    """One network and the ports' own resource alone: the whole site's life is in test_apply.py."""
    site = narrow_site(**given)

    with running() as double:
        double.neutron.mtu = takes

        def build(stack: TerraformStack) -> None:
            site_provider(stack, site)
            if there:
                in_theirs(stack, site, double.add_network("theirs"))
            else:
                Network(stack, "net", plan=site)

        terraform = dataclasses.replace(
            openstack_terraform, environ=openstack_terraform.environ | double.environment
        )
        (terraform.folder / "terraform.tfstate").unlink(missing_ok=True)
        terraform.write(synthesize(build))
        terraform("init", "-input=false")
        done = terraform.run("apply", "-auto-approve", "-input=false", "-no-color")

        assert done.returncode == 1
        refusal = "Requested MTU is too big, maximum is 1342" if given and not there else says
        assert refusal in said(done)
        assert not double.kept["subnets"]


@pytest.mark.terraform
@pytest.mark.parametrize("takes", [1280, 1450, 1500, 9000])
def test_what_the_real_plugin_tells_of_a_network_is_what_a_node_is_to_have(
    takes: int, openstack_terraform: Terraform
) -> None:
    """Of one that the same stack makes, which the data source calls null until it is there."""
    site = narrow_site()

    def build(stack: TerraformStack) -> None:
        site_provider(stack, site)
        made = Resource(stack, "theirs", NETWORK, name="theirs", admin_state_up=True)
        network = in_theirs(stack, site, made.ref("id"))
        described = {"cluster": "demo", "site": "dc1", "platform": "openstack", "nodes": {}, "pools": {}}
        Output(stack, "cluster", {**described, "late_values": network.late_values})

    with running() as double:
        double.neutron.mtu = takes
        terraform = dataclasses.replace(
            openstack_terraform, environ=openstack_terraform.environ | double.environment
        )
        (terraform.folder / "terraform.tfstate").unlink(missing_ok=True)
        terraform.write(synthesize(build))
        terraform("init", "-input=false")
        terraform("apply", "-auto-approve", "-input=false")

        told = {name: one["value"] for name, one in json.loads(terraform("output", "-json")).items()}
        assert "No changes." in terraform("plan", "-input=false", "-no-color")

    deployed = read_outputs(told, stack="demo-dc1")
    assert deployed
    volumes = {late.name: "v" for late in site.late_values if late.kind == "data_volume_id"}
    nodes: list[NodePlan | PoolPlan] = [*site.nodes_of(Role.MASTER), *site.pools]
    for node in nodes:
        files = wanted(site, node, secret_source(site), {**volumes, **deployed.late_values}).files
        assert json.loads(files[DAEMON])["mtu"] == takes
