"""The schema check says what `terraform validate` says, and says it better."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.errors import ResourceError
from constructs_lib.terraform.check import check
from constructs_lib.terraform.schema import Body, load_schema
from tests.terraform.conftest import Terraform

CASES = Path(__file__).parent / "validate"
ACCEPTED: list[dict[str, Any]] = json.loads((CASES / "accepted.json").read_text())
REFUSED: list[dict[str, Any]] = json.loads((CASES / "refused.json").read_text())


def body(type_name: str, schema: str = "aws-3.39.0") -> tuple[str, Body]:
    loaded = load_schema(schema)
    found = loaded.body("resources", type_name)
    assert found is not None
    return loaded.title, found


def verdict(type_name: str, attributes: dict[str, Any], schema: str = "aws-3.39.0") -> str:
    try:
        check(f"{type_name}.x", attributes, [body(type_name, schema)], managed=True)
    except ResourceError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["name"])
def test_what_terraform_accepts_is_accepted(case: dict[str, Any]) -> None:
    assert verdict(case["type"], case["attributes"]) == ""


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_what_terraform_refuses_is_refused(case: dict[str, Any]) -> None:
    assert verdict(case["type"], case["attributes"]).startswith(f"{case['type']}.x: ")


@pytest.mark.terraform
def test_the_real_terraform_agrees_with_every_case(run_terraform_aws: Terraform) -> None:
    resources: dict[str, dict[str, Any]] = {}
    for number, case in enumerate(ACCEPTED + REFUSED):
        resources.setdefault(case["type"], {})[f"case-{number}"] = case["attributes"]
    document = {
        "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws", "version": "3.39.0"}}},
        "variable": {"text": {"type": "string"}},
        "resource": resources,
    }
    text = json.dumps(document, indent=1)
    (run_terraform_aws.folder / "main.tf.json").write_text(text)
    run_terraform_aws("init", "-backend=false")
    refused = {
        _case_at(text, problem["range"]["start"]["line"])
        for problem in run_terraform_aws.json("validate", "-json")["diagnostics"]
        if problem["severity"] == "error"
    }
    wanted = set(range(len(ACCEPTED), len(ACCEPTED) + len(REFUSED)))
    names = [case["name"] for case in ACCEPTED + REFUSED]
    assert {names[number] for number in refused} == {names[number] for number in wanted}


def _case_at(text: str, line: int) -> int:
    """The number of the case that line (from 1) of the document belongs to."""
    for above in reversed(text.splitlines()[:line]):
        if above.startswith('   "case-'):
            return int(above.split('"')[1].removeprefix("case-"))
    raise AssertionError(f"line {line} belongs to no case")


@pytest.mark.parametrize(
    ("type_name", "attributes", "expected"),
    [
        ("aws_vpc", {"cidr_blok": "x", "cidr_block": "y"},
         'unknown attribute "cidr_blok", did you mean "cidr_block"?'),
        ("aws_vpc", {}, 'missing attribute "cidr_block", a string is required'),
        ("aws_vpc", {"cidr_block": ["x"]}, "\"cidr_block\": got ['x'] (list), expected a string"),
        ("aws_vpc", {"cidr_block": "x", "arn": "y"},
         'attribute "arn" is computed by the provider, it can be read but not set'),
        ("aws_vpc", {"cidr_block": "x", "id": "y"},
         'attribute "id" is given by the provider, it can be read but not set'),
        ("aws_instance", {"ami": "a", "instance_type": "b", "vpc_security_group_ids": {"b", }},
         "\"vpc_security_group_ids\": got {'b'} (set), expected a list of strings; its order is not fixed, "
         "use sorted()"),
        ("aws_instance", {"ami": "a", "instance_type": "b", "root_block_device": [{}, {}]},
         'block "root_block_device": got 2, expected at most 1'),
        ("aws_instance", {"ami": "a", "instance_type": "b", "root_block_device": {"sise": 1}},
         'unknown attribute "root_block_device.sise"'),
        ("aws_launch_template", {"metadata_options": {"http_put_response_hop_limit": "two"}},
         '"metadata_options.http_put_response_hop_limit": got \'two\' (str), expected a number'),
    ],
)  # fmt: skip
def test_an_error_says_what_where_and_what_is_expected(
    type_name: str, attributes: dict[str, Any], expected: str
) -> None:
    assert verdict(type_name, attributes) == f"{type_name}.x: {expected} (hashicorp/aws 3.39.0 schema)"


def test_every_problem_is_reported_and_says_which_schemas_have_it() -> None:
    attributes = {"ami": 1, "nonsense": 1, "monitoring": []}
    with pytest.raises(ResourceError) as caught:
        check("x", attributes, [body("aws_instance"), body("aws_instance", "aws-6.25.0")])
    both = "(hashicorp/aws 3.39.0 and hashicorp/aws 6.25.0 schemas)"
    assert str(caught.value).splitlines() == [
        f'x: unknown attribute "nonsense" {both}',
        f'x: "monitoring": got [] (list), expected true or false {both}',
        'x: missing attribute "instance_type", a string is required (hashicorp/aws 3.39.0 schema)',
    ]


def test_an_error_does_not_show_a_sensitive_value() -> None:
    parameter = {"name": "x", "type": "SecureString", "value": ["hunter2"]}
    assert verdict("aws_ssm_parameter", parameter) == (
        'aws_ssm_parameter.x: "value": got a sensitive value (list), expected a string '
        "(hashicorp/aws 3.39.0 schema)"
    )


def test_none_means_not_set_but_not_inside_a_list() -> None:
    assert verdict("aws_vpc", {"cidr_block": "x", "tags": {"a": None}, "enable_dns_support": None}) == ""
    assert "missing" in verdict("aws_vpc", {"cidr_block": None})
    assert "got None" in verdict(
        "aws_instance", {"ami": "a", "instance_type": "b", "security_groups": [None]}
    )


def test_attributes_with_attributes_of_their_own_are_told_from_blocks() -> None:
    disk = {"attributes": {"size": {"type": "number", "required": True}}, "optional": True}
    domain: Body = {"attributes": {"disks": {"nested": "list", **disk}, "cpu": {"nested": "single", **disk}}}
    check("d", {"disks": [{"size": 1}], "cpu": {"size": "${var.x}"}}, [("t", domain)])
    check("d", {"disks": "${var.disks}", "cpu": "${var.cpu}"}, [("t", domain)])
    with pytest.raises(ResourceError) as caught:
        check("d", {"disks": {"size": 1}, "cpu": {"siz": 1}}, [("t", domain)])
    assert str(caught.value).splitlines() == [
        "d: \"disks\": got {'size': 1} (dict), expected a list of mappings (it is an attribute, not a block) "
        "(t schema)",
        'd: unknown attribute "cpu.siz", did you mean "size"? (t schema)',
        'd: missing attribute "cpu.size", a number is required (t schema)',
    ]


def test_an_unknown_name_in_an_object_is_refused_where_terraform_drops_it_silently() -> None:
    rule = {
        "from_port": 1, "to_port": 2, "protocol": "tcp", "cidr_blocks": [], "description": "a",
        "ipv6_cidr_blocks": [], "prefix_list_ids": [], "security_groups": [], "self": False,
    }  # fmt: skip
    assert verdict("aws_security_group", {"egress": [rule]}) == ""
    assert 'unknown attribute "egress[0].to_prt", did you mean "to_port"?' in verdict(
        "aws_security_group", {"egress": [{**rule, "to_prt": 2}]}
    )


def test_the_engine_s_own_tokens_stand_for_any_type() -> None:
    class Token:
        __jsii_type__ = "cdktf.IResolvable"

    assert verdict("aws_vpc", {"cidr_block": Token(), "tags": Token(), "enable_dns_support": Token()}) == ""
