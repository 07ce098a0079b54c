"""Who talked to whom in the VPC: flow logs in CloudWatch."""

from __future__ import annotations

import json

from constructs import Construct as Scope

from constructs_lib.aws.settings import aws_of
from constructs_lib.aws.tags import tags
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.names import prefix
from constructs_lib.terraform import Resource
from constructs_lib.terraform.policy import accept

RETENTION_DAYS = 365
"""A year: intrusions are found after months (and checkov's CKV_AWS_338 asks for it)."""


def add_flow_logs(scope: Scope, plan: SitePlan, vpc_id: str) -> None:
    """Logs all traffic of the VPC, accepted and rejected, to `/clustermesos/<cluster>/<site>/flow`."""
    key = aws_of(plan).kms_key_arn
    group = Resource(
        scope,
        "flow-log-group",
        "aws_cloudwatch_log_group",
        name=f"/clustermesos/{plan.cluster}/{plan.name}/flow",
        retention_in_days=RETENTION_DAYS,
        kms_key_id=key,
        tags=tags(plan, "flow-log"),
    )
    if key is None:
        accept(
            group,
            "CKV_AWS_158",
            "encrypted with the service's own key; aws.kms_key_arn makes it a customer's",
        )
    role = Resource(
        scope,
        "flow-log-role",
        "aws_iam_role",
        name=f"{prefix(plan)}-flow-log",
        assume_role_policy=assume_role("vpc-flow-logs.amazonaws.com"),
        permissions_boundary=aws_of(plan).permissions_boundary_arn,
        tags=tags(plan, "flow-log"),
    )
    writes = {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
        "Resource": [f"{group.ref('arn')}:*"],
    }
    policy = Resource(
        scope,
        "flow-log-policy",
        "aws_iam_role_policy",
        name="write-flow-log",
        role=role.ref("id"),
        policy=json.dumps({"Version": "2012-10-17", "Statement": [writes]}),
    )
    Resource(
        scope,
        "flow-log",
        "aws_flow_log",
        vpc_id=vpc_id,
        traffic_type="ALL",
        iam_role_arn=role.ref("arn"),
        log_destination=group.ref("arn"),
        log_destination_type="cloud-watch-logs",
        depends_on=[policy],
        tags=tags(plan, "flow-log"),
    )


def assume_role(service: str) -> str:
    """The trust policy that lets an AWS service take a role."""
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
