"""Resources and data sources: names, references, schema checks, and what ends up in cdk.tf.json."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.errors import ResourceError
from constructs_lib.terraform import (
    App,
    Construct,
    DataSource,
    Output,
    Resource,
    TerraformStack,
    Variable,
    literal,
    local_backend,
    synth_json,
)


@pytest.fixture
def stack(tmp_path: Any) -> TerraformStack:
    stack = TerraformStack(App(outdir=str(tmp_path / "out")), "eu")
    local_backend(stack, "terraform.tfstate")
    return stack


def test_the_attributes_reach_the_json_under_the_construct_path_without_a_hash(stack: TerraformStack) -> None:
    network = Construct(stack, "demo")
    vpc = Resource(network, "vpc", "aws_vpc", cidr_block="10.0.0.0/16", tags={"Name": "demo"})
    assert vpc.address == "aws_vpc.demo_vpc"
    assert synth_json(stack)["resource"] == {
        "aws_vpc": {"demo_vpc": {"cidr_block": "10.0.0.0/16", "tags": {"Name": "demo"}}}
    }


def test_a_leaf_named_resource_is_dropped_from_the_name(stack: TerraformStack) -> None:
    assert (
        Resource(Construct(stack, "logs"), "Resource", "aws_s3_bucket", bucket="x").address
        == "aws_s3_bucket.logs"
    )


def test_two_constructs_with_the_same_name_are_refused_with_both_paths(stack: TerraformStack) -> None:
    Resource(Construct(stack, "a"), "b_c", "aws_vpc", cidr_block="10.0.0.0/16")
    with pytest.raises(ResourceError, match=r"aws_vpc\.a_b_c: made by two constructs, eu/a/b_c and eu/a_b/c"):
        Resource(Construct(stack, "a_b"), "c", "aws_vpc", cidr_block="10.0.0.0/16")


@pytest.mark.parametrize("id", ["a.b", "a b", "é", "1st", "-x", ""])
def test_an_id_that_terraform_would_not_take_is_refused(stack: TerraformStack, id: str) -> None:
    with pytest.raises(ResourceError, match="expected"):
        Resource(stack, id, "aws_vpc", cidr_block="10.0.0.0/16")


def test_an_unknown_attribute_names_both_schemas_and_the_nearest_name(stack: TerraformStack) -> None:
    with pytest.raises(ResourceError) as caught:
        Resource(stack, "m", "aws_instance", ami="ami-1", instance_typ="t3.micro", instance_type="t3.micro")
    assert str(caught.value) == (
        'aws_instance.m: unknown attribute "instance_typ", did you mean "instance_type"? '
        "(hashicorp/aws 3.39.0 and hashicorp/aws 6.25.0 schemas)"
    )


def test_names_that_python_also_uses_can_be_attributes(stack: TerraformStack) -> None:
    Resource(
        stack, "r", "aws_security_group_rule",
        type="ingress", self=True, from_port=1, to_port=2, protocol="tcp", security_group_id="sg-1",
    )  # fmt: skip
    rule = synth_json(stack)["resource"]["aws_security_group_rule"]["r"]
    assert (rule["type"], rule["self"]) == ("ingress", True)


def test_for_each_over_a_mapping_is_an_expression_and_each_instance_can_be_named(stack: TerraformStack) -> None:
    nodes = {"master-1": {"ip": "10.0.0.10", "text": literal("echo ${HOME}\n")}}
    masters = Resource(
        stack, "masters", "aws_instance",
        for_each=nodes, ami="ami-1", instance_type="m5.large", private_ip="${each.value.ip}",
    )  # fmt: skip
    Output(stack, "addresses", masters.all("private_ip"))
    Output(stack, "first", masters.each("master-1", "id"))
    synthesized = synth_json(stack)
    assert synthesized["resource"]["aws_instance"]["masters"]["for_each"] == (
        r'${merge({"master-1" = {"ip" = "10.0.0.10", "text" = "echo $${HOME}\n"}})}'
    )
    assert synthesized["output"] == {
        "addresses": {"value": "${{ for k, r in aws_instance.masters : k => r.private_ip }}"},
        "first": {"value": '${aws_instance.masters["master-1"].id}'},
    }


def test_meta_arguments_reach_the_json(stack: TerraformStack) -> None:
    vpc = Resource(stack, "vpc", "aws_vpc", cidr_block="10.0.0.0/16")
    ami = DataSource(stack, "ami", "aws_ami", owners=["1"])
    Resource(
        stack, "m", "aws_instance",
        count="${var.n}", depends_on=[vpc, ami], lifecycle={"ignore_changes": ["ami"], "prevent_destroy": True},
        ami=ami.ref("id"), instance_type="t3.micro",
    )  # fmt: skip
    Variable(stack, "n", type="number")
    assert synth_json(stack)["resource"]["aws_instance"]["m"] == {
        "ami": "${data.aws_ami.ami.id}",
        "count": "${var.n}",
        "depends_on": ["aws_vpc.vpc", "data.aws_ami.ami"],
        "instance_type": "t3.micro",
        "lifecycle": {"ignore_changes": ["ami"], "prevent_destroy": True},
    }


def test_a_reference_to_an_attribute_that_does_not_exist_is_refused(stack: TerraformStack) -> None:
    vpc = Resource(stack, "vpc", "aws_vpc", cidr_block="10.0.0.0/16")
    with pytest.raises(ResourceError, match=r'no attribute "arm" to refer to, did you mean "arn"\?'):
        vpc.ref("arm")
