"""AWS' words for a roll: which resources are machines, and the machines of an Auto Scaling group.

boto3 is asked for only when a pool's agents are rolled: `pip install 'clustermesos[aws]'`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from constructs_lib.access.deployed import Deployed
from constructs_lib.access.machines import Agent, Kinds
from constructs_lib.aws.settings import aws_of
from constructs_lib.errors import RollError, ToolError
from constructs_lib.plan.model import SitePlan
from constructs_lib.spec.model import AwsSpec

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_autoscaling.type_defs import AutoScalingGroupTypeDef
    from mypy_boto3_ec2 import EC2Client

KINDS = Kinds(machines=("aws_instance",), kept=("aws_ebs_volume",), address="private_ip")
LEAVING = ("Terminating", "Terminated", "Detaching", "Detached")
"""How the lifecycle states of a machine start that the group has let go already."""
CONNECT_SECONDS, ANSWER_SECONDS = 10, 30
"""For one question to the API; boto3 asks again a few times by itself."""


def agent_group(site: SitePlan, deployed: Deployed, pool: str) -> AutoScalingGroup:
    """The machines of a pool; RollError where it is not deployed, ToolError without boto3."""
    group = deployed.pools.get(pool)
    if group is None or group.autoscaling_group is None or group.launch_template is None:
        raise RollError(
            f"{pool}: no such pool is deployed in {site.name}, only {', '.join(deployed.pools) or 'none'}: "
            "cdktf deploy"
        )
    return AutoScalingGroup(aws_of(site), group.autoscaling_group, group.launch_template)


class AutoScalingGroup:
    """One group and its launch template, asked anew at each question. Methods raise ToolError."""

    def __init__(self, settings: AwsSpec, name: str, template: str) -> None:
        self.name = name
        self._template = template
        self._scaling, self._ec2 = _clients(settings)

    def wanted(self) -> int:
        """How many machines the group is to have now."""
        return self._group()["DesiredCapacity"]

    def newest(self) -> str:
        """The number of the launch template's latest version."""
        with _told("describe-launch-template-versions"):
            found = self._ec2.describe_launch_template_versions(
                LaunchTemplateId=self._template, Versions=["$Latest"]
            )
        return str(found["LaunchTemplateVersions"][0]["VersionNumber"])

    def agents(self) -> tuple[Agent, ...]:
        """The machines, oldest version first; those that are on their way out are left out."""
        newest = self.newest()
        here = [one for one in self._group()["Instances"] if not one["LifecycleState"].startswith(LEAVING)]
        addresses = self._addresses([one["InstanceId"] for one in here])
        found = [
            Agent(
                id=one["InstanceId"],
                address=addresses.get(one["InstanceId"], ""),
                version=version,
                # A group that was made with another template has machines of none.
                current=version == newest and template == self._template,
                in_service=one["LifecycleState"] == "InService" and one["HealthStatus"].lower() == "healthy",
            )
            for one in here
            for template, version in [_made_from(one.get("LaunchTemplate", {}))]
        ]
        return tuple(sorted(found, key=lambda agent: (agent.current, agent.version.zfill(9), agent.id)))

    def replace(self, agent: Agent) -> None:
        """Lift the protection of this one machine, and end it; the group makes another, as many as
        before.
        """
        with _told(f"set-instance-protection of {agent.id}"):
            self._scaling.set_instance_protection(
                InstanceIds=[agent.id], AutoScalingGroupName=self.name, ProtectedFromScaleIn=False
            )
        with _told(f"terminate-instance-in-auto-scaling-group of {agent.id}"):
            self._scaling.terminate_instance_in_auto_scaling_group(
                InstanceId=agent.id, ShouldDecrementDesiredCapacity=False
            )

    def _group(self) -> AutoScalingGroupTypeDef:
        with _told(f"describe-auto-scaling-groups of {self.name}"):
            found = self._scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])
        if not found["AutoScalingGroups"]:
            raise RollError(f"{self.name}: AWS has no Auto Scaling group of that name: cdktf deploy")
        return found["AutoScalingGroups"][0]

    def _addresses(self, ids: list[str]) -> dict[str, str]:
        if not ids:
            return {}
        with _told("describe-instances"):
            pages = self._ec2.get_paginator("describe_instances").paginate(
                # A filter, not a list of ids: a machine that is gone by now is then no error.
                Filters=[{"Name": "instance-id", "Values": ids[:200]}]
            )
            return {
                one["InstanceId"]: one.get("PrivateIpAddress", "")
                for page in pages
                for reservation in page["Reservations"]
                for one in reservation["Instances"]
            }


def _made_from(template: Any) -> tuple[str, str]:
    return str(template.get("LaunchTemplateId", "")), str(template.get("Version", ""))


def _clients(settings: AwsSpec) -> tuple[AutoScalingClient, EC2Client]:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise ToolError("rolling agents on AWS needs boto3: pip install 'clustermesos[aws]'") from None
    # An API double takes any credentials, and must not be shown the user's own.
    word = "test" if settings.endpoint else None
    try:
        session = boto3.Session(
            aws_access_key_id=word, aws_secret_access_key=word, region_name=settings.region
        )
        config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=ANSWER_SECONDS)
        return (
            session.client("autoscaling", endpoint_url=settings.endpoint, config=config),
            session.client("ec2", endpoint_url=settings.endpoint, config=config),
        )
    except BotoCoreError as error:
        raise ToolError(f"AWS: {error}") from None


@contextmanager
def _told(question: str) -> Iterator[None]:
    """Whatever AWS or the road to it answers, as one line."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        first = str(error).splitlines()[0]
        raise ToolError(f"AWS {question}: {first}") from None
