"""A hybrid cloud by the real Terraform and plugins: public home site, and private sites that call it.

The public one is on moto, a double of the AWS API, the private ones on the double of OpenStack's. Each stack
reads what the others say from their real state. The tests run in the order of this file and each goes on from
what the one before left.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.openstack.secrets import SECRETS_PATH
from constructs_lib.secrets.store import read_store
from tests.conftest import AwsDouble, running_aws
from tests.embedded.cluster import Cluster, changes, environment, settings_for
from tests.embedded.project import Project, finished
from tests.embedded.test_deploy import leftovers
from tests.hybrid.conftest import Run
from tests.openstack.deployed import counted, doubled
from tests.openstack.double import OpenstackDouble
from tests.openstack.double_server import running

pytestmark = [pytest.mark.terraform, pytest.mark.embedded, pytest.mark.slow]
GATEWAY = 'openstack_compute_instance_v2.demo_gateway["gateway-1"]'
PRIVATE = {
    "platform": "openstack",
    "openstack": {"external_network": "public", "image": "ubuntu-24.04"},
    "network": "10.30.0.0/16",
    "agents": {"private": {"count": 2}},
    "protect_data": False,
}


@pytest.fixture(scope="module")
def aws(cloud: OpenstackDouble, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    with running_aws(tmp_path_factory.mktemp("hybrid-double")) as double:
        yield double


@pytest.fixture(scope="module")
def cloud(terraform_for: Run) -> Iterator[OpenstackDouble]:
    assert terraform_for("openstack"), "else each test is skipped here"
    with running() as double:
        yield double


@pytest.fixture(scope="module")
def home(
    aws: AwsDouble, cloud: OpenstackDouble, terraform_for: Run, tmp_path_factory: pytest.TempPathFactory
) -> Cluster:
    settings = settings_for(aws.endpoint)
    eu = settings["sites"]["eu"]
    eu |= {"zones": 1, "masters": {"count": 1}, "agents": {"general": {"count": 1}}}
    del eu["edge"]
    settings["sites"]["dc1"] = PRIVATE
    environ = environment(terraform_for("openstack").environ) | cloud.environment
    return Cluster(tmp_path_factory.mktemp("cluster"), settings, environ)


@pytest.fixture(scope="module")
def project(home: Cluster, cdktf_command: Path) -> Project:
    return Project.begun(cdktf_command, home)


@pytest.fixture(scope="module")
def private(home: Cluster) -> Cluster:
    return dataclasses.replace(home, site_name="dc1")


def text_of(cloud: OpenstackDouble, machine: str) -> str:
    """The user data that nova got."""
    return gzip.decompress(base64.b64decode(cloud.nova.user_data[machine])).decode()


def secrets_of(cloud: OpenstackDouble, machine: str) -> dict[str, str]:
    """The secrets that nova got for its config drive."""
    (file,) = (file for file in cloud.nova.files[machine] if file["path"] == SECRETS_PATH)
    told: dict[str, str] = json.loads(base64.b64decode(file["contents"]))
    return told


def routes(cloud: OpenstackDouble, site: str) -> dict[str, str]:
    """Network → next hop, of the site's router."""
    return {
        route["destination"]: route["nexthop"] for route in cloud.named("routers", f"demo-{site}")["routes"]
    }


def called(home: Cluster) -> str:
    """Where the home site's gateway is called."""
    return f"{home.terraform.outputs()['cluster']['gateway']['public_address']}:51820"


def test_one_command_builds_both_sites_the_public_one_first(project: Project) -> None:
    printed = project.cdktf("deploy")

    assert finished(printed) == ["demo-eu", "demo-dc1"]
    assert len(re.findall(r"Resources: \d+ added, 0 changed, 0 destroyed", printed)) == 2
    assert all(state["resources"] for state in project.states().values())


def test_the_private_sites_gateway_calls_the_address_that_the_public_one_got(
    home: Cluster, private: Cluster, cloud: OpenstackDouble
) -> None:
    assert f'"calls": "{called(home)}"' in text_of(cloud, "demo-dc1-gateway-1")
    late = private.terraform.outputs()["cluster"]["late_values"]
    assert f"{late['gateway_public_address:eu']}:51820" == called(home)


def test_the_private_router_leads_packets_for_the_public_site_to_its_gateway(cloud: OpenstackDouble) -> None:
    gateway = cloud.named("servers", "demo-dc1-gateway-1")["id"]
    (port,) = (port for port in cloud.kept["ports"].values() if port["device_id"] == gateway)

    assert routes(cloud, "dc1") == {"10.20.0.0/16": port["fixed_ips"][0]["ip_address"]}
    assert [pair["ip_address"] for pair in port["allowed_address_pairs"]] == ["10.20.0.0/16"]


def test_a_second_plan_of_the_private_site_is_empty(private: Cluster) -> None:
    assert changes(private.plan()) == {}


def test_a_third_site_touches_no_machine_of_the_private_one(private: Cluster, cloud: OpenstackDouble) -> None:
    machines = dict(cloud.kept["servers"])
    private.settings["sites"]["dc2"] = PRIVATE | {
        "network": "10.40.0.0/16",
        "agents": {"spare": {"count": 1}},
    }

    touched = changes(private.apply())

    updated = {address for address, actions in touched.items() if actions == ["update"]}
    created = {address.split("[")[0] for address, actions in touched.items() if actions == ["create"]}
    assert {tuple(actions) for actions in touched.values()} == {("create",), ("update",)}
    assert updated == {'openstack_networking_port_v2.demo_gateway_port["gateway-1"]'}
    assert created == {
        "openstack_networking_router_route_v2.demo_gateway_site-routes",
        "openstack_networking_secgroup_rule_v2.demo_firewall_egress-by-range",
        "openstack_networking_secgroup_rule_v2.demo_firewall_ingress-by-range",
    }
    assert cloud.kept["servers"] == machines
    assert routes(cloud, "dc1").keys() == {"10.20.0.0/16", "10.40.0.0/16"}
    assert changes(private.plan()) == {}


def test_the_third_site_calls_both_that_were_there(
    home: Cluster, private: Cluster, cloud: OpenstackDouble
) -> None:
    third = dataclasses.replace(private, site_name="dc2")
    assert {tuple(actions) for actions in changes(third.apply()).values()} == {("create",)}

    beside = private.terraform.outputs()["cluster"]["gateway"]["public_address"]
    text = text_of(cloud, "demo-dc2-gateway-1")
    assert f'"calls": "{called(home)}"' in text and f'"calls": "{beside}:51820"' in text
    assert changes(third.plan()) == {}
    # Two sites of one project have their names apart.
    assert doubled(cloud) == {}


def test_new_link_keys_change_what_ssm_has_and_no_machine_of_any_site(
    home: Cluster, private: Cluster
) -> None:
    faults = changes(home.plan()).keys()
    done = home.command("secrets", "--renew", "link-keys")
    assert done.returncode == 0, done.stderr

    public, theirs = changes(home.plan()), changes(private.plan())

    touched = {address: actions for address, actions in public.items() if address not in faults}
    assert touched
    assert {actions[0] for actions in touched.values()} == {"update"}
    assert {address.split(".")[0] for address in touched} == {"aws_ssm_parameter"}
    assert all("link" in address or "wireguard" in address for address in touched)
    assert theirs == {}


def roll_gateway(site: Cluster) -> str:
    """What the command says while it rolls the site's gateway; nobody can log in to a double's machine."""
    done = site.command("roll", "gateway", "--site", site.site_name, "--yes", "--gate", "true")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_gateway_that_is_rolled_gets_the_new_keys_on_its_former_port(
    private: Cluster, cloud: OpenstackDouble
) -> None:
    kept = read_store(private.folder / ".clustermesos" / "secrets.json")
    before = secrets_of(cloud, "demo-dc1-gateway-1")
    ports, floating = dict(cloud.kept["ports"]), json.dumps(cloud.kept["floatingips"])
    machines = {one["name"]: one["id"] for one in cloud.kept["servers"].values()}

    said = roll_gateway(private)
    again = roll_gateway(private)

    # The third site's gateway is in its text since.
    assert "gateway-1: personality (sensitive); user_data: " in said
    assert f"gateway-1: replacing {GATEWAY}\n" in said
    assert "gateway-1: up to date\n" in again
    replaced = {
        one["name"] for one in cloud.kept["servers"].values() if machines.get(one["name"]) != one["id"]
    }
    assert replaced == {"demo-dc1-gateway-1"}
    after = secrets_of(cloud, "demo-dc1-gateway-1")
    renewed = {name for name, value in after.items() if before.get(name) != value}
    assert renewed and all(kept[name] == after[name] for name in renewed)
    assert all("link" in name or "wireguard" in name for name in renewed)
    assert cloud.kept["ports"].keys() == ports.keys()
    assert json.dumps(cloud.kept["floatingips"]) == floating


def test_one_command_destroys_the_sites_from_the_last_to_the_first_and_leaves_nothing_in_either_cloud(
    project: Project, cloud: OpenstackDouble, aws: AwsDouble
) -> None:
    printed = project.cdktf("destroy")

    assert finished(printed) == ["demo-dc2", "demo-dc1", "demo-eu"]
    assert [stack for stack, state in project.states().items() if state["resources"]] == []
    assert counted(cloud) == {"networks": 1}
    assert leftovers(aws) == []
