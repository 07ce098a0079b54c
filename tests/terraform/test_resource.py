"""Resources and data sources: names, references, schema checks, and what ends up in cdk.tf.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsii
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
    synth_json,
)
from constructs_lib.terraform.base import TerraformResource, engine


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


def test_an_id_that_another_construct_of_the_scope_has_is_refused(stack: TerraformStack) -> None:
    Resource(stack, "x", "aws_vpc", cidr_block="10.0.0.0/16")
    with pytest.raises(ResourceError, match=r"aws_vpc\.x: eu/x is aws_vpc\.x already"):
        Resource(stack, "x", "aws_vpc", cidr_block="10.0.0.0/16")
    with pytest.raises(ResourceError, match=r"aws_eip\.x: eu/x is aws_vpc\.x already"):
        Resource(stack, "x", "aws_eip")
    with pytest.raises(ResourceError, match=r"output\.x: eu/x is aws_vpc\.x already"):
        Output(stack, "x", 1)


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


def test_for_each_over_a_mapping_is_an_expression_and_each_instance_can_be_named(
    stack: TerraformStack,
) -> None:
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
        count="${var.n}", depends_on=[vpc, ami],
        lifecycle={"ignore_changes": ["ami"], "prevent_destroy": True},
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


def test_a_reference_has_to_say_which_instance(stack: TerraformStack) -> None:
    one = Resource(stack, "one", "aws_eip")
    many = Resource(stack, "many", "aws_eip", count=2)
    keyed = Resource(stack, "keyed", "aws_eip", for_each={"a": 1})
    with pytest.raises(ResourceError, match=r"aws_eip\.many: ref\('id'\) is ambiguous"):
        many.ref("id")
    with pytest.raises(ResourceError, match=r"aws_eip\.one: each\(\) needs for_each or count"):
        one.each("a", "id")
    with pytest.raises(ResourceError, match=r"aws_eip\.one: all\(\) needs for_each or count"):
        one.all("id")
    assert one.ref("id") == "${aws_eip.one.id}"
    assert many.each(0, "id") == "${aws_eip.many[0].id}"
    assert many.all("id") == "${aws_eip.many[*].id}"
    assert keyed.each('a"b', "id") == r'${aws_eip.keyed["a\"b"].id}'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"for_each": {"a": 1}, "count": 1}, "for_each and count are both given"),
        ({"for_each": "text"}, "for_each: got 'text', expected a mapping or an expression"),
        ({"for_each": ["a"]}, "expected a mapping keyed by name"),
        ({"for_each": {1: "a"}}, "expected strings"),
        ({"count": "2"}, "count: got '2', expected a number or an expression"),
        ({"count": True}, "count: got True, expected 0 or more"),
        ({"count": -1}, "count: got -1, expected 0 or more"),
        ({"lifecycle": {"ignore_change": ["x"]}}, 'unknown lifecycle setting "ignore_change", did you mean'),
    ],
)
def test_a_meta_argument_that_terraform_would_refuse_is_refused(
    stack: TerraformStack, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ResourceError, match=r"aws_eip\.x: ") as caught:
        Resource(stack, "x", "aws_eip", **arguments)
    assert message in str(caught.value)


def test_a_refused_resource_leaves_nothing_behind(stack: TerraformStack) -> None:
    with pytest.raises(ResourceError):
        Resource(stack, "vpc", "aws_vpc", cidr_blok="10.0.0.0/16")
    Resource(stack, "vpc", "aws_vpc", cidr_block="10.0.0.0/16")
    assert synth_json(stack)["resource"] == {"aws_vpc": {"vpc": {"cidr_block": "10.0.0.0/16"}}}


def test_the_attributes_are_a_copy_of_what_was_given(stack: TerraformStack) -> None:
    tags = {"a": "b"}
    Resource(stack, "vpc", "aws_vpc", cidr_block="10.0.0.0/16", tags=tags)
    tags["c"] = "d"
    assert synth_json(stack)["resource"]["aws_vpc"]["vpc"]["tags"] == {"a": "b"}


def test_an_override_sets_and_removes_without_a_check(stack: TerraformStack) -> None:
    vpc = Resource(stack, "vpc", "aws_vpc", cidr_block="10.0.0.0/16", tags={"a": "b"})
    vpc.add_override("tags.c", "d")
    vpc.add_override("tags.a", None)
    vpc.add_override("of_the_future", [1])
    assert synth_json(stack)["resource"]["aws_vpc"]["vpc"] == {
        "cidr_block": "10.0.0.0/16", "of_the_future": [1], "tags": {"c": "d"},
    }  # fmt: skip


def test_a_dependency_or_provider_of_another_stack_is_refused(stack: TerraformStack, tmp_path: Path) -> None:
    other = TerraformStack(App(outdir=str(tmp_path / "other")), "us")
    vpc = Resource(other, "vpc", "aws_vpc", cidr_block="10.0.0.0/16")
    with pytest.raises(ResourceError, match=r"aws_eip\.x: us/vpc stands in another stack"):
        Resource(stack, "x", "aws_eip", depends_on=[vpc])


def test_elements_of_the_engine_s_own_classes_mix_with_ours(stack: TerraformStack) -> None:
    class Foreign(TerraformResource):
        pass

    foreign = Foreign(Construct(stack, "their"), "thing", terraform_resource_type="null_resource")
    ours = Resource(stack, "ours", "aws_eip", depends_on=[foreign])
    Foreign(stack, "after", terraform_resource_type="null_resource", depends_on=[ours])
    resources = synth_json(stack)["resource"]
    assert resources["aws_eip"]["ours"]["depends_on"] == [f"null_resource.{foreign.friendly_unique_id}"]
    assert resources["null_resource"]["after"]["depends_on"] == ["aws_eip.ours"]


def test_an_aspect_sees_each_resource_and_can_change_it(stack: TerraformStack) -> None:
    @jsii.implements(engine.IAspect)
    class Tag:
        def visit(self, node: object) -> None:
            if isinstance(node, Resource):
                node.add_override("tags.owner", "ops")

    Resource(Construct(stack, "deep"), "vpc", "aws_vpc", cidr_block="10.0.0.0/16")
    engine.Aspects.of(stack).add(Tag())
    assert synth_json(stack)["resource"]["aws_vpc"]["deep_vpc"]["tags"] == {"owner": "ops"}


def test_two_clusters_fit_into_one_stack(stack: TerraformStack) -> None:
    for name in ("blue", "green"):
        Resource(Construct(stack, name), "vpc", "aws_vpc", cidr_block="10.0.0.0/16")
    assert sorted(synth_json(stack)["resource"]["aws_vpc"]) == ["blue_vpc", "green_vpc"]


def test_a_type_that_no_schema_has_is_refused_with_the_nearest(stack: TerraformStack) -> None:
    with pytest.raises(
        ResourceError, match=r"unknown resource type 'aws_instanc', did you mean \"aws_instance\"\?"
    ):
        Resource(stack, "x", "aws_instanc")
    with pytest.raises(ResourceError, match="no schema for the type 'random_id' is shipped"):
        Resource(stack, "x", "random_id", byte_length=4)


def test_the_builtin_type_is_known(stack: TerraformStack) -> None:
    data = Resource(stack, "x", "terraform_data", input={"a": [1]})
    Output(stack, "o", data.ref("output"))
    assert synth_json(stack)["resource"]["terraform_data"]["x"] == {"input": {"a": [1]}}


def test_a_data_source_is_named_and_referred_to_under_data(stack: TerraformStack) -> None:
    ami = DataSource(Construct(stack, "demo"), "ami", "aws_ami", owners=["099720109477"], most_recent=True)
    assert ami.address == "data.aws_ami.demo_ami"
    assert ami.ref("id") == "${data.aws_ami.demo_ami.id}"
    assert synth_json(stack)["data"]["aws_ami"]["demo_ami"] == {
        "most_recent": True,
        "owners": ["099720109477"],
    }
    with pytest.raises(ResourceError, match="unknown lifecycle setting"):
        DataSource(stack, "x", "aws_ami", owners=["1"], lifecycle={"prevent_destroy": True})
