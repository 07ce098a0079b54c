"""The machine image: Canonical's newest Ubuntu 24.04, or the one that the site names."""

from __future__ import annotations

from constructs import Construct as Scope

from constructs_lib.aws.settings import aws_of
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import DataSource

CANONICAL = "099720109477"
"""Canonical's AWS account: https://documentation.ubuntu.com/aws/aws-how-to/instances/find-ubuntu-images/."""
UBUNTU = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"
ROOT_DEVICE = "/dev/sda1"
"""Where Canonical's images have their root."""


def machine_image(scope: Scope, plan: SitePlan, given: str | None = None) -> str:
    """`given`, else `aws.image`, else a data source below `scope` for the newest Ubuntu."""
    named = given or aws_of(plan).image
    if named:
        return named
    image = DataSource(
        scope,
        "image",
        "aws_ami",
        owners=[CANONICAL],
        most_recent=True,
        filter=[
            {"name": "name", "values": [UBUNTU]},
            {"name": "architecture", "values": ["x86_64"]},
            {"name": "virtualization-type", "values": ["hvm"]},
        ],
    )
    return image.ref("id")
