"""Two stacks are the same when Terraform would make the same of them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.same import count, differences


def _stack(**attributes: object) -> dict[str, Any]:
    return {"//": {"metadata": {}}, "resource": {"aws_instance": {"a": attributes}}}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"encrypted": True}, {"encrypted": "true"}),
        ({"volume_size": 20}, {"volume_size": "20"}),
        ({"root_block_device": {"volume_size": 20}}, {"root_block_device": [{"volume_size": 20}]}),
        ({"tags": {}}, {}),
        ({"//": {"metadata": {"path": "x"}}}, {}),
    ],
)
def test_two_ways_to_write_one_thing_are_the_same(ours: dict[str, object], theirs: dict[str, object]) -> None:
    assert differences(_stack(**ours), _stack(**theirs)) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ({"ami": "a"}, {"ami": "b"}, "resource.aws_instance.a.ami: a != b"),
        ({"ami": "a"}, {}, "resource.aws_instance.a.ami: a != None"),
        ({"ids": ["a", "b"]}, {"ids": ["b", "a"]}, "resource.aws_instance.a.ids: ['a', 'b'] != ['b', 'a']"),
    ],
)
def test_a_differing_attribute_is_named(
    ours: dict[str, object], theirs: dict[str, object], said: str
) -> None:
    assert differences(_stack(**ours), _stack(**theirs)) == [said]


def test_a_resource_that_only_one_has_is_named() -> None:
    lone: dict[str, Any] = {"resource": {"aws_vpc": {"v": {}}}}
    assert differences(lone, {}) == ["only ours: resource.aws_vpc.v"]
    assert differences({}, lone) == ["only theirs: resource.aws_vpc.v"]


def test_outputs_variables_and_locals_count_too() -> None:
    for section in ("output", "variable", "locals", "provider"):
        assert differences({section: {"x": {"value": "1"}}}, {}) != []


def test_the_version_of_the_provider_does_not_count() -> None:
    assert differences({"terraform": {"required_providers": {"aws": {"version": "1"}}}}, {}) == []


def test_resources_are_counted_by_block() -> None:
    assert count({"resource": {"aws_vpc": {"a": {}, "b": {}}, "aws_eip": {"c": {}}}}) == 3
