"""Provider configurations: required_providers, aliases, and which schemas a stack is held to."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.errors import ResourceError
from constructs_lib.terraform import DataSource, Provider, Resource, TerraformStack, synth_json

AWS: Any = {"source": "hashicorp/aws", "version": "~> 6.0"}


def test_the_source_constraint_and_settings_reach_the_json(stack: TerraformStack) -> None:
    tags = {"Name": "demo", "camelCase": "kept"}
    Provider(stack, "aws", "aws", **AWS, region="eu-west-3", default_tags={"tags": tags})
    synthesized = synth_json(stack)
    assert synthesized["terraform"]["required_providers"] == {"aws": AWS}
    assert synthesized["provider"] == {"aws": [{"region": "eu-west-3", "default_tags": {"tags": tags}}]}


def test_an_aliased_provider_is_chosen_by_its_address(stack: TerraformStack) -> None:
    Provider(stack, "aws", "aws", **AWS, region="eu-west-3")
    west = Provider(stack, "west", "aws", **AWS, region="us-west-1", alias="west")
    Resource(stack, "vpc", "aws_vpc", cidr_block="10.0.0.0/16", provider=west)
    DataSource(stack, "ami", "aws_ami", owners=["1"], provider=west)
    synthesized = synth_json(stack)
    assert synthesized["provider"]["aws"][1] == {"alias": "west", "region": "us-west-1"}
    assert synthesized["resource"]["aws_vpc"]["vpc"]["provider"] == "aws.west"
    assert synthesized["data"]["aws_ami"]["ami"]["provider"] == "aws.west"


def test_the_settings_are_checked_where_the_schema_has_them(stack: TerraformStack) -> None:
    with pytest.raises(
        ResourceError, match=r'provider\.aws: unknown attribute "regio", did you mean "region"\?'
    ):
        Provider(stack, "aws", "aws", **AWS, regio="eu-west-3")


def test_by_default_both_aws_versions_must_accept_a_resource(stack: TerraformStack) -> None:
    Provider(stack, "aws", "aws", **AWS, region="eu-west-3")
    with pytest.raises(ResourceError, match=r'unknown attribute "vpc".*\(hashicorp/aws 6\.25\.0 schema\)'):
        Resource(stack, "old", "aws_eip", vpc=True)
    with pytest.raises(
        ResourceError, match=r'attribute "domain" is computed.*\(hashicorp/aws 3\.39\.0 schema\)'
    ):
        Resource(stack, "new", "aws_eip", domain="vpc")


def test_a_stack_can_be_held_to_one_version(stack: TerraformStack) -> None:
    Provider(stack, "aws", "aws", **AWS, region="eu-west-3", schemas=("aws-6.25.0",))
    Resource(stack, "new", "aws_eip", domain="vpc")
    with pytest.raises(ResourceError, match=r"6\.25\.0 schema"):
        Resource(stack, "old", "aws_eip", vpc=True)


def test_a_type_of_one_version_only_is_held_to_that_one(stack: TerraformStack) -> None:
    Resource(
        stack, "v", "aws_s3_bucket_versioning", bucket="b", versioning_configuration={"status": "Enabled"}
    )
    with pytest.raises(ResourceError, match=r"\(hashicorp/aws 6\.25\.0 schema\)"):
        Resource(stack, "w", "aws_s3_bucket_versioning", bucket="b")


def test_schemas_that_come_after_a_checked_resource_are_refused(stack: TerraformStack) -> None:
    Resource(stack, "vpc", "aws_vpc", cidr_block="10.0.0.0/16")
    with pytest.raises(ResourceError, match="come too late, eu/vpc was checked"):
        Provider(stack, "aws", "aws", **AWS, region="eu-west-3", schemas=("aws-6.25.0",))


def test_a_provider_without_a_shipped_schema_has_to_say_so(stack: TerraformStack) -> None:
    with pytest.raises(
        ResourceError, match=r"provider 'random' at eu/random: no schema of it is shipped.*schemas=\(\)"
    ):
        Provider(stack, "random", "random", source="hashicorp/random")
    Provider(stack, "random", "random", source="hashicorp/random", schemas=())
    name = Resource(stack, "name", "random_pet", whatever=[1])
    assert name.ref("id") == "${random_pet.name.id}"
    assert synth_json(stack)["resource"]["random_pet"]["name"] == {"whatever": [1]}


def test_an_unknown_schema_is_refused_with_the_shipped_ones(stack: TerraformStack) -> None:
    with pytest.raises(
        ResourceError, match=r"no schema 'aws-7' is shipped, expected one of aws-3\.39\.0, aws-6\.25\.0"
    ):
        Provider(stack, "aws", "aws", **AWS, schemas=("aws-7",))
