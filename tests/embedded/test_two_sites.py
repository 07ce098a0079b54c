"""Two sites of one cluster, for real: the real Terraform and AWS plugin against moto, an AWS API double.

The tests run in the order of this file and each goes on from what the one before left.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import cdktf
from tests.conftest import AwsDouble, running_aws
from tests.embedded.cluster import Cluster, changed_attributes, changes, environment, settings_for

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """A double of this module's own: its tests build on each other."""
    with running_aws(tmp_path_factory.mktemp("sites-double")) as double:
        yield double


@pytest.fixture(scope="module")
def home(aws: AwsDouble, terraform: Path, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    assert terraform.exists()
    settings = settings_for(aws.endpoint)
    eu = settings["sites"]["eu"]
    eu |= {"zones": 1, "masters": {"count": 1}, "agents": {"general": {"count": 1}}}
    del eu["edge"]
    return Cluster(tmp_path_factory.mktemp("cluster"), settings, environment(cdktf.environment()))


@pytest.fixture(scope="module")
def other(home: Cluster) -> Cluster:
    return dataclasses.replace(home, site_name="us")


def test_one_site_is_built_alone(home: Cluster) -> None:
    assert {tuple(actions) for actions in changes(home.apply()).values()} == {("create",)}


def test_a_second_site_replaces_nothing_at_home(home: Cluster) -> None:
    before = changes(home.plan())
    home.settings["sites"]["us"] = {
        "platform": "aws",
        "aws": home.site["aws"] | {"region": "us-east-1"},
        "network": "10.30.0.0/16",
        "agents": {"general": {"count": 1}},
        "protect_data": False,
    }
    touched = {
        address: actions for address, actions in changes(home.apply()).items() if address not in before
    }
    assert {tuple(actions) for actions in touched.values()} == {("create",), ("update",)}
    # The gateway passes packets on and reads the other site's key; agents to come have smaller packets.
    assert [address for address, actions in touched.items() if actions == ["update"]] == [
        "aws_iam_role_policy.demo_access_gateway-policy",
        'aws_instance.demo_gateway["gateway-1"]',
        "aws_launch_template.demo_agents-general_template",
    ]


def test_the_other_sites_gateway_calls_the_address_that_the_home_sites_got(
    home: Cluster, other: Cluster, aws: AwsDouble
) -> None:
    assert {tuple(actions) for actions in changes(other.apply()).values()} == {("create",)}
    public = home.terraform.outputs()["cluster"]["gateway"]["public_address"]
    text = gzip.decompress(base64.b64decode(user_data(aws, "us-east-1", "10.30.0.11"))).decode()
    assert f'"calls": "{public}:51820"' in text
    assert other.terraform.outputs()["cluster"]["late_values"]["gateway_public_address:eu"] == public


def test_each_site_leads_packets_for_the_other_to_its_gateway(
    home: Cluster, other: Cluster, aws: AwsDouble
) -> None:
    for cluster, region, network in (
        (home, "eu-west-3", "10.30.0.0/16"),
        (other, "us-east-1", "10.20.0.0/16"),
    ):
        client = aws.client("ec2", region)
        (gateway,) = (
            one
            for reservation in client.describe_instances()["Reservations"]
            for one in reservation["Instances"]
            if one["PrivateIpAddress"] == cluster.terraform.outputs()["cluster"]["gateway"]["address"]
        )
        routes = [
            route for table in client.describe_route_tables()["RouteTables"] for route in table["Routes"]
        ]
        (route,) = (route for route in routes if route.get("DestinationCidrBlock") == network)
        assert route["NetworkInterfaceId"] == gateway["NetworkInterfaces"][0]["NetworkInterfaceId"]
        assert gateway["SourceDestCheck"] is False


def test_a_second_plan_shows_nothing_new(home: Cluster, other: Cluster) -> None:
    for cluster in (home, other):
        touched = {address.split("[")[0] for address, _ in changed_attributes(cluster.plan())}
        assert not {address for address in touched if "route" in address or "instance" in address}


def test_a_new_gateway_changes_its_routes_and_nothing_else(home: Cluster) -> None:
    machine = 'aws_instance.demo_gateway["gateway-1"]'
    plan = home.terraform.plan(home.folder / "plan.bin", replace=[machine])
    touched = changes(plan)
    assert touched[machine] == ["delete", "create"]
    assert 'aws_route.demo_gateway_site-routes["gateway-1-us-a"]' in touched


def user_data(aws: AwsDouble, region: str, address: str) -> str:
    client: Any = aws.client("ec2", region)
    (instance,) = (
        one["InstanceId"]
        for reservation in client.describe_instances()["Reservations"]
        for one in reservation["Instances"]
        if one["PrivateIpAddress"] == address
    )
    found = client.describe_instance_attribute(InstanceId=instance, Attribute="userData")
    return str(found["UserData"]["Value"])
