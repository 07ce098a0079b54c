"""Which lines of a cdk.tf.json belong to which resource."""

from __future__ import annotations

import json
from typing import Any

import pytest

from constructs_lib.scan.layout import Lines, addresses, canonical, locate
from tests.scan.cases import stack


def test_every_resource_and_data_source_is_found_on_the_lines_it_stands_on() -> None:
    text = canonical(stack())
    lines = text.split("\n")
    found = locate(text)
    assert set(found) == {address for address, _, _ in addresses(stack())}
    for address, place in found.items():
        name = address.rsplit(".", 1)[1]
        assert lines[place.first - 1].startswith(f'      "{name}": {{')
        assert lines[place.last - 1].rstrip(",").endswith("}")
        body = "\n".join(lines[place.first - 1 : place.last]).strip().rstrip(",")
        assert json.loads(f"{{{body}}}").keys() == {name}


def test_names_that_look_like_structure_are_only_names() -> None:
    content = {"resource": {"aws_vpc": {"resource": {"tags": {"data": "x", 'a "quoted": {': "y"}}}}}
    assert locate(canonical(content)) == {"aws_vpc.resource": Lines(4, 9)}


def test_text_in_another_layout_has_no_lines() -> None:
    assert locate(json.dumps(stack())) == {}


def test_the_engines_comments_are_no_resources() -> None:
    content = {"resource": {"aws_vpc": {"//": {"metadata": {}}, "vpc": {"//": {"metadata": {}}}}}}
    assert [address for address, _, _ in addresses(content)] == ["aws_vpc.vpc"]
    assert list(locate(canonical(content))) == ["aws_vpc.vpc"]


def test_a_data_source_is_told_from_a_resource_by_its_address_and_type() -> None:
    content: dict[str, Any] = {"resource": {"aws_vpc": {"x": {}}}, "data": {"aws_vpc": {"x": {}}}}
    assert [(address, kind) for address, kind, _ in addresses(content)] == [
        ("aws_vpc.x", "aws_vpc"),
        ("data.aws_vpc.x", "data.aws_vpc"),
    ]


@pytest.mark.parametrize("character", ["\x7f", "\x85", "\u2028", "\ufeff", "é"])
def test_characters_that_yaml_reads_otherwise_are_escaped(character: str) -> None:
    text = canonical({"resource": {"a_b": {"c": {"d": character}}}})
    assert character not in text
    assert json.loads(text)["resource"]["a_b"]["c"]["d"] == character


def test_characters_beyond_the_basic_plane_stay_whole() -> None:
    # As two escapes, YAML would read two halves that no encoder takes.
    assert "\U0001f600" in canonical({"output": {"x": {"value": "\U0001f600"}}})
