"""AWS' Auto Scaling group as a roll sees it, by moto inside of this process, an API double."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from constructs_lib.access.deployed import Deployed
from constructs_lib.aws.rolling import AutoScalingGroup, agent_group
from constructs_lib.errors import RollError, ToolError
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.spec.model import AwsSpec
from scripts.embedded_aws import free_port
from tests.roll.test_nodes import KEY

REGION = "eu-west-3"
NAME = "demo-eu-general"
IMAGE = "ami-03cf127a"
"""One that the double has. It tells of all that it has for seconds."""


@pytest.fixture
def api() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def group(api: None) -> AutoScalingGroup:
    """Two agents of version 1 while version 2 is the newest, protected from scaling in."""
    ec2, scaling = boto3.client("ec2", region_name=REGION), boto3.client("autoscaling", region_name=REGION)
    data: Any = {"ImageId": IMAGE, "InstanceType": "t3.small"}
    template = ec2.create_launch_template(LaunchTemplateName=NAME, LaunchTemplateData=data)
    id_ = template["LaunchTemplate"]["LaunchTemplateId"]
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=NAME,
        LaunchTemplate={"LaunchTemplateId": id_, "Version": "$Latest"},
        MinSize=2,
        MaxSize=4,
        AvailabilityZones=[f"{REGION}a"],
        NewInstancesProtectedFromScaleIn=True,
    )
    newer: Any = data | {"InstanceType": "m7i.large"}
    ec2.create_launch_template_version(LaunchTemplateId=id_, LaunchTemplateData=newer)
    return AutoScalingGroup(AwsSpec(region=REGION), NAME, id_)


def test_agents_know_their_version_and_whether_it_is_the_newest(group: AutoScalingGroup) -> None:
    assert (group.wanted(), group.newest()) == (2, "2")
    agents = group.agents()
    assert [(one.version, one.current, one.in_service) for one in agents] == [("1", False, True)] * 2
    assert all(one.address for one in agents)


def test_a_replaced_one_is_unprotected_ended_and_followed_and_no_other_is_touched(
    group: AutoScalingGroup,
) -> None:
    first, second = group.agents()
    group.replace(first)
    after = {one.id for one in group.agents()}
    assert first.id not in after
    assert second.id in after
    assert (len(after), group.wanted()) == (2, 2)
    states = boto3.client("autoscaling", region_name=REGION).describe_auto_scaling_instances(
        InstanceIds=[second.id]
    )
    assert states["AutoScalingInstances"][0]["ProtectedFromScaleIn"]


@pytest.mark.slow
def test_a_group_that_is_gone_says_to_deploy(api: None) -> None:
    with pytest.raises(RollError, match="no Auto Scaling group of that name: cdktf deploy"):
        AutoScalingGroup(AwsSpec(region=REGION), NAME, "lt-1").wanted()


@pytest.mark.slow
def test_what_the_api_refuses_is_one_line(api: None) -> None:
    with pytest.raises(ToolError, match=r"AWS describe-launch-template-versions: .*lt-1") as caught:
        AutoScalingGroup(AwsSpec(region=REGION), NAME, "lt-1").newest()
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_an_api_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    settings = AwsSpec(region=REGION, endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ToolError, match=f"AWS describe-auto-scaling-groups of {NAME}: Could not connect"):
        AutoScalingGroup(settings, NAME, "lt-1").wanted()


def test_without_boto3_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ToolError, match=r"pip install 'clustermesos\[aws\]'"):
        AutoScalingGroup(AwsSpec(region=REGION), NAME, "lt-1")


def test_a_pool_that_is_not_deployed_names_those_that_are() -> None:
    spec = from_dict(
        {
            "name": "demo",
            "sites": {"eu": {"platform": "aws", "aws": {"region": REGION}, "network": "10.20.0.0/16"}},
            "admin": {"networks": ["203.0.113.0/24"], "ssh_keys": [KEY]},
        }
    )
    deployed = Deployed(
        cluster="demo", site="eu", platform="aws", nodes={}, pools={"general": {"min": 1, "max": 1}}
    )
    with pytest.raises(RollError, match="batch: no such pool is deployed in eu, only general: cdktf deploy"):
        agent_group(plan(spec).site("eu"), deployed, "batch")
