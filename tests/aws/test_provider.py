from __future__ import annotations

import pytest

from constructs_lib.aws import site_provider
from constructs_lib.errors import SpecError
from tests.aws.clusters import Json, site_plan, synthesize

DOUBLE = "http://127.0.0.1:5566"


def provider(**aws: str | None) -> tuple[Json, Json]:
    site = site_plan("small", aws=aws)
    stack = synthesize(lambda stack: site_provider(stack, site))
    return stack["provider"]["aws"][0], stack["terraform"]["required_providers"]["aws"]


def test_a_real_account_needs_region_and_version_only() -> None:
    config, required = provider()

    assert config == {"region": "eu-west-3"}
    assert required == {"source": "hashicorp/aws", "version": "~> 6.0"}


@pytest.mark.parametrize(
    ("version", "style", "services"),
    [
        ("3.39.0", "s3_force_path_style", {"elb", "cloudwatchlogs"}),
        ("~> 6.0", "s3_use_path_style", {"elbv2", "logs"}),
        (">= 5.31", "s3_use_path_style", {"elbv2", "logs"}),
    ],
)
def test_an_api_double_is_asked_for_everything_in_the_words_of_the_plugin(
    version: str, style: str, services: set[str]
) -> None:
    config, _ = provider(endpoint=DOUBLE, provider_version=version)

    assert config[style] is True
    endpoints = config["endpoints"][0]
    assert set(endpoints.values()) == {DOUBLE}
    assert services | {"ec2", "s3", "iam", "sts", "ssm", "autoscaling"} <= set(endpoints)


def test_a_site_without_aws_settings_is_refused() -> None:
    import dataclasses

    site = dataclasses.replace(site_plan("small"), aws=None)

    with pytest.raises(SpecError, match=r"sites\.eu\.aws"):
        synthesize(lambda stack: site_provider(stack, site))
