"""The shipped schemas are whole, and one type is found without parsing the file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from constructs_lib.errors import ResourceError
from constructs_lib.terraform.schema import FOLDER, Kind, bodies, load_schema, shipped_schemas

KINDS: tuple[Kind, Kind] = ("resources", "data_sources")


@pytest.mark.parametrize("name", shipped_schemas())
def test_each_type_is_found_as_it_stands_in_the_file(name: str) -> None:
    schema = load_schema(name)
    whole: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    for kind in KINDS:
        assert schema.type_names(kind) == list(whole[kind])
        for type_name, body in whole[kind].items():
            assert schema.body(kind, type_name) == body
    assert schema.config() == whole.get("config")
    assert schema.title == f"{whole['provider']} {whole['version']}"


def test_a_resource_is_not_mistaken_for_a_data_source_of_the_same_name() -> None:
    schema = load_schema("aws-6.25.0")
    assert schema.body("data_sources", "aws_availability_zones") is not None
    assert schema.body("resources", "aws_availability_zones") is None
    assert schema.body("data_sources", "aws_iam_role_policy") is None
    assert schema.body("resources", "aws_instance") != schema.body("data_sources", "aws_instance")


@pytest.mark.parametrize("name", ["aws_inst", "attributes", 'aws_eip": {}, "x', ""])
def test_part_of_a_name_is_not_a_type(name: str) -> None:
    assert load_schema("aws-3.39.0").body("resources", name) is None


def test_only_the_schemas_that_have_a_type_judge_it() -> None:
    both = ("aws-3.39.0", "aws-6.25.0")
    assert [title for title, _ in bodies(both, "resources", "aws_eip")] == [
        "hashicorp/aws 3.39.0", "hashicorp/aws 6.25.0",
    ]  # fmt: skip
    assert [title for title, _ in bodies(both, "resources", "aws_s3_bucket_acl")] == ["hashicorp/aws 6.25.0"]


def test_an_unknown_type_names_the_nearest_of_its_kind() -> None:
    with pytest.raises(ResourceError) as caught:
        bodies(("aws-3.39.0",), "data_sources", "aws_amis")
    assert str(caught.value) == (
        "unknown data source type 'aws_amis', did you mean \"aws_ami\"? (hashicorp/aws 3.39.0)"
    )


@pytest.mark.parametrize("name", shipped_schemas())
def test_every_type_in_a_schema_can_be_judged(name: str) -> None:
    known = {"string", "number", "bool", "dynamic"}
    flags = {"optional", "required", "computed", "sensitive", "deprecated"}

    def walk(body: dict[str, Any]) -> None:
        for attribute in body.get("attributes", {}).values():
            if "nested" in attribute:
                assert attribute.keys() <= flags | {"nested", "attributes"}
                assert attribute["nested"] in ("single", "list", "set", "map")
                walk(attribute)
                continue
            assert attribute.keys() <= flags | {"type"}
            cty = attribute["type"]
            while isinstance(cty, list):
                assert cty[0] in ("list", "set", "map", "object")
                cty = "dynamic" if cty[0] == "object" else cty[1]
            assert cty in known
        for block in body.get("blocks", {}).values():
            assert block["nesting"] in ("single", "list", "set")
            walk(block)

    whole = json.loads((FOLDER / f"{name}.json").read_text())
    for kind in KINDS:
        for body in whole[kind].values():
            walk(body)
