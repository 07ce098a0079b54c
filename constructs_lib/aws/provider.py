"""The AWS provider of a site's stack."""

from __future__ import annotations

from typing import Any

from constructs_lib.aws.settings import aws_of, plugin_generation
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import Provider, TerraformStack

_SERVICES = ("autoscaling", "ec2", "iam", "kms", "s3", "ssm", "sts")
_RENAMED_SINCE_4 = {"elb": "elbv2", "cloudwatchlogs": "logs"}


def site_provider(stack: TerraformStack, plan: SitePlan) -> Provider:
    """The provider for the site's region and version constraint.

    With `aws.endpoint` every API that the constructs use is called there, with static credentials and without
    the checks that only the real AWS answers. Two settings of that case were renamed in 4.0, so the first
    number of `aws.provider_version` chooses their names.
    """
    aws = aws_of(plan)
    double = _double(aws.endpoint, _is_old(plan)) if aws.endpoint else {}
    return Provider(
        stack,
        "aws",
        "aws",
        source="hashicorp/aws",
        version=aws.provider_version,
        # The old plugin's schema would refuse the new words; the new one's says nothing of providers.
        schemas=None if _is_old(plan) or not aws.endpoint else ("aws-6.25.0",),
        region=aws.region,
        **double,
    )


def _is_old(plan: SitePlan) -> bool:
    generation = plugin_generation(plan)
    return generation is not None and generation < 4


def _double(endpoint: str, old: bool) -> dict[str, Any]:
    services = (*_SERVICES, *(_RENAMED_SINCE_4.keys() if old else _RENAMED_SINCE_4.values()))
    return {
        # An API double accepts anything; these are the words of AWS' own documentation for "no real key".
        "access_key": "test",
        "secret_key": "test",
        "skip_credentials_validation": True,
        "skip_metadata_api_check": True,
        "skip_requesting_account_id": True,
        ("s3_force_path_style" if old else "s3_use_path_style"): True,
        "endpoints": [dict.fromkeys(sorted(services), endpoint)],
    }
