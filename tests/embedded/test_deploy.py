"""The life of one cluster, for real: the real Terraform and AWS plugin against moto, an AWS API double.

The tests run in the order of this file and each goes on from what the one before left.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import cdktf
from tests.conftest import AwsDouble, running_aws
from tests.embedded.cluster import (
    Cluster,
    changed_attributes,
    changes,
    environment,
    known_differences,
    settings_for,
)

pytestmark = pytest.mark.embedded

MACHINES = ("aws_instance.", "aws_ebs_volume.", "aws_volume_attachment.")


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """A double of this module's own: its tests build on each other."""
    with running_aws(tmp_path_factory.mktemp("deploy-double")) as double:
        yield double


@pytest.fixture(scope="module")
def cluster(aws: AwsDouble, terraform: Path, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    assert terraform.exists()
    return Cluster(
        tmp_path_factory.mktemp("cluster"), settings_for(aws.endpoint), environment(cdktf.environment())
    )


def test_apply_builds_every_planned_node_at_its_address(cluster: Cluster, aws: AwsDouble) -> None:
    plan = cluster.apply()
    assert {tuple(actions) for actions in changes(plan).values()} == {("create",)}
    addresses = {instance["PrivateIpAddress"] for instance in instances(aws) if not in_a_group(instance)}
    assert addresses == {
        "10.20.0.11",
        "10.20.16.11",
        "10.20.80.12",
        "10.20.144.13",
        "10.20.20.11",
        "10.20.24.11",
    }
    assert [size(group) for group in groups(aws)] == [("demo-eu-batch", 0), ("demo-eu-general", 3)]


def test_the_one_output_describes_nodes_endpoints_and_gateway(cluster: Cluster) -> None:
    described = cluster.terraform.outputs()["cluster"]
    assert isinstance(described, dict)
    assert sorted(described["nodes"]) == [
        "consul-1",
        "edge-1",
        "gateway-1",
        "master-1",
        "master-2",
        "master-3",
    ]
    assert described["nodes"]["master-2"]["address"] == "10.20.80.12"
    assert sorted(described["pools"]) == ["batch", "general"]


def test_show_prints_the_nodes_and_how_to_log_in(cluster: Cluster) -> None:
    done = cluster.command("show")
    assert done.returncode == 0, done.stderr
    assert "master-2" in done.stdout
    assert "10.20.80.12" in done.stdout
    assert "ssh" in done.stdout


def test_a_second_plan_shows_nothing_but_the_doubles_own_faults(cluster: Cluster) -> None:
    plan = cluster.plan()
    assert not {tuple(actions) for actions in changes(plan).values()} - {("update",)}
    # Both ways: a fault that is gone has to leave the list, which may only shrink.
    assert changed_attributes(plan) == set(known_differences())


def test_the_plan_shows_no_secret(cluster: Cluster) -> None:
    secrets = json.loads((cluster.folder / ".clustermesos" / "secrets.json").read_text())
    values = [value for value in strings(secrets) if len(value) > 20]
    assert values
    # The plan of the first deploy creates all that holds a secret: SSM parameters, host keys, user data.
    first = cluster.first_plan_shown
    assert "aws_ssm_parameter.demo" in first
    for text in (first, (cluster.stack / "cdk.tf.json").read_text()):
        assert not [value for value in values if value in text or json.dumps(value)[1:-1] in text]
    state = cluster.folder / ".clustermesos" / "state"
    assert state.stat().st_mode & 0o777 == 0o700
    assert (cluster.stack / "secrets.auto.tfvars.json").stat().st_mode & 0o777 == 0o600


def test_scaling_out_changes_the_group_and_nothing_else(cluster: Cluster, aws: AwsDouble) -> None:
    cluster.site["agents"]["general"]["count"] = 5
    cluster.site["agents"]["batch"]["min"] = 2
    plan = cluster.apply()
    assert touched(plan) == {
        "aws_autoscaling_group.demo_agents-batch": ["update"],
        "aws_autoscaling_group.demo_agents-general": ["update"],
    }
    assert [size(group) for group in groups(aws)] == [("demo-eu-batch", 2), ("demo-eu-general", 5)]


def test_scaling_in_ends_the_named_instances_whose_protection_was_lifted(
    cluster: Cluster, aws: AwsDouble
) -> None:
    group = next(group for group in groups(aws) if group["AutoScalingGroupName"] == "demo-eu-general")
    assert all(instance["ProtectedFromScaleIn"] for instance in group["Instances"])
    machines = {instance["InstanceId"] for instance in group["Instances"]}
    leaving = sorted(machines)[1:3]
    aws.client("autoscaling").set_instance_protection(
        AutoScalingGroupName="demo-eu-general", InstanceIds=leaving, ProtectedFromScaleIn=False
    )
    cluster.site["agents"]["general"]["count"] = 3
    plan = cluster.apply()
    assert touched(plan) == {"aws_autoscaling_group.demo_agents-general": ["update"]}
    (group,) = (group for group in groups(aws) if group["AutoScalingGroupName"] == "demo-eu-general")
    assert {instance["InstanceId"] for instance in group["Instances"]} == machines - set(leaving)


def test_a_new_pool_touches_no_other(cluster: Cluster) -> None:
    cluster.site["agents"] = {"early": {"count": 1}, **cluster.site["agents"]}
    plan = cluster.apply()
    assert {tuple(actions) for actions in touched(plan).values()} == {("create",)}
    assert all("early" in address for address in touched(plan))


def test_removing_a_pool_touches_no_other(cluster: Cluster) -> None:
    del cluster.site["agents"]["early"]
    plan = cluster.apply()
    assert {tuple(actions) for actions in touched(plan).values()} == {("delete",)}
    assert all("early" in address for address in touched(plan))


def test_a_changed_size_image_and_template_changes_nothing_that_runs(
    cluster: Cluster, aws: AwsDouble
) -> None:
    before = {instance["InstanceId"] for instance in instances(aws)}
    kept = copy.deepcopy(cluster.settings)
    cluster.site["masters"] |= {"cpus": 4, "memory_gib": 16}
    cluster.site["consul"] |= {"cpus": 4, "memory_gib": 16}
    cluster.site["agents"]["general"] |= {"cpus": 8, "memory_gib": 32}
    cluster.site["aws"]["image"] = "ami-1e749f67"
    cluster.settings["software"] = {"zookeeper": {"version": "3.9.5"}}
    plan = cluster.apply()
    assert not [address for address in touched(plan) if address.startswith(MACHINES)]
    assert {instance["InstanceId"] for instance in instances(aws)} == before
    cluster.settings = kept
    cluster.apply()


def test_a_bigger_data_volume_grows_in_place(cluster: Cluster) -> None:
    cluster.site["masters"]["disk_gib"] = 60
    plan = cluster.apply()
    assert {address.split("[")[0]: actions for address, actions in touched(plan).items()} == {
        "aws_ebs_volume.demo_masters_data": ["update"]
    }


def test_another_number_of_masters_is_refused_before_anything_is_planned(cluster: Cluster) -> None:
    kept = copy.deepcopy(cluster.settings)
    cluster.site["masters"]["count"] = 5
    with pytest.raises(AssertionError, match=r"locked 3, cluster\.yaml says 5"):
        cluster.synth()
    cluster.settings = kept
    cluster.synth()


def test_a_second_operator_without_the_secrets_gets_an_error_and_no_new_secrets(cluster: Cluster) -> None:
    store = cluster.folder / ".clustermesos" / "secrets.json"
    kept = store.read_bytes()
    store.unlink()
    done = cluster.command("synth")
    assert done.returncode == 2
    assert "zookeeper_super_password" in done.stderr
    assert not store.exists()
    store.touch(mode=0o600)
    store.write_bytes(kept)


def test_destroy_leaves_nothing_of_the_cluster_in_the_api(cluster: Cluster, aws: AwsDouble) -> None:
    cluster.synth()
    cluster.destroy()
    assert leftovers(aws) == []


def instances(aws: AwsDouble, region: str = "eu-west-3") -> list[dict[str, Any]]:
    reservations = aws.client("ec2", region).describe_instances(
        Filters=[{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    )["Reservations"]
    return [instance for reservation in reservations for instance in reservation["Instances"]]


def in_a_group(instance: dict[str, Any]) -> bool:
    return any(tag["Key"] == "aws:autoscaling:groupName" for tag in instance.get("Tags", []))


def groups(aws: AwsDouble, region: str = "eu-west-3") -> list[dict[str, Any]]:
    found = aws.client("autoscaling", region).describe_auto_scaling_groups()["AutoScalingGroups"]
    return sorted(found, key=lambda group: str(group["AutoScalingGroupName"]))


def size(group: dict[str, Any]) -> tuple[str, int]:
    return group["AutoScalingGroupName"], len(group["Instances"])


def touched(plan: dict[str, Any]) -> dict[str, list[str]]:
    """What the plan changes beside the differences that are the double's own fault."""
    faults = {address for address, _ in known_differences()}
    return {address: actions for address, actions in changes(plan).items() if address not in faults}


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)


def leftovers(aws: AwsDouble, region: str = "eu-west-3") -> list[str]:
    """Everything in the API that no fresh account has."""
    ec2 = aws.client("ec2", region)
    found = [instance["InstanceId"] for instance in instances(aws, region)]
    found += [volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]]
    found += [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]]
    found += [address["AllocationId"] for address in ec2.describe_addresses()["Addresses"]]
    found += [
        gateway["NatGatewayId"]
        for gateway in ec2.describe_nat_gateways()["NatGateways"]
        if gateway["State"] != "deleted"
    ]
    found += [template["LaunchTemplateId"] for template in ec2.describe_launch_templates()["LaunchTemplates"]]
    found += [
        group["GroupId"]
        for group in ec2.describe_security_groups()["SecurityGroups"]
        if group["GroupName"] != "default"
    ]
    found += [group["AutoScalingGroupName"] for group in groups(aws, region)]
    found += [role["RoleName"] for role in aws.client("iam", region).list_roles()["Roles"]]
    found += [
        profile["InstanceProfileName"]
        for profile in aws.client("iam", region).list_instance_profiles()["InstanceProfiles"]
    ]
    found += [
        parameter["Name"] for parameter in aws.client("ssm", region).describe_parameters()["Parameters"]
    ]
    found += [bucket["Name"] for bucket in aws.client("s3", region).list_buckets()["Buckets"]]
    found += [
        group["logGroupName"] for group in aws.client("logs", region).describe_log_groups()["logGroups"]
    ]
    elb = aws.client("elbv2", region)
    found += [balancer["LoadBalancerArn"] for balancer in elb.describe_load_balancers()["LoadBalancers"]]
    found += [targets["TargetGroupArn"] for targets in elb.describe_target_groups()["TargetGroups"]]
    return found
