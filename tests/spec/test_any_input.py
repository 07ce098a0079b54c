"""Whatever stands in the file, only SpecFileError comes out, and one line per problem."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from constructs_lib.errors import SpecFileError
from constructs_lib.spec.load import from_dict, parse

GOOD = Path(__file__).parent / "good"
EVERYTHING: dict[str, Any] = yaml.safe_load((GOOD / "everything.yaml").read_text(encoding="utf-8"))
WORDS = (
    *"[]{}|!%#~'\"\n\t-:",
    "name",
    "sites",
    "eu",
    "admin",
    "count",
    "- ",
    ": ",
    "&a ",
    "*a",
    "<<",
    "  ",
    "0o7",
)
TEXTS = ("10.0.0.0/8", "1.2.3.4", "ssh-ed25519 AAAA", "s3", "aws", "", " ", "http://[", "https://a@b", "://")

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.sampled_from(TEXTS)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def assert_only_problems(error: SpecFileError) -> None:
    assert error.problems
    for problem in error.problems:
        assert "\n" not in str(problem)
        for words in ("Input should", "pydantic", "NoneType", "object at 0x", "another value"):
            assert words not in problem.message


def places(data: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = data.items() if isinstance(data, dict) else ()
    return [path, *(place for key, child in below for place in places(child, (*path, key)))][not path :]


PLACES = places(EVERYTHING)


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_random_bytes(data: bytes) -> None:
    try:
        parse(data)
    except SpecFileError as error:
        assert_only_problems(error)


@pytest.mark.slow
@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=4), max_size=40).map("".join))
@settings(max_examples=300, deadline=None)
def test_random_yaml(text: str) -> None:
    try:
        parse(text)
    except SpecFileError as error:
        assert_only_problems(error)


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(PLACES), values), min_size=1, max_size=3))
@settings(max_examples=400, deadline=None)
def test_a_good_file_with_any_other_value_anywhere(changes: list[tuple[tuple[str, ...], Any]]) -> None:
    data = copy.deepcopy(EVERYTHING)
    for path, value in changes:
        target: Any = data
        for part in path[:-1]:
            target = target.get(part) if isinstance(target, dict) else None
        if isinstance(target, dict):
            target[path[-1]] = value
    try:
        from_dict(data)
    except SpecFileError as error:
        assert_only_problems(error)


@given(st.sampled_from(PLACES))
@settings(max_examples=150, deadline=None)
def test_a_good_file_without_any_one_setting(path: tuple[str, ...]) -> None:
    data = copy.deepcopy(EVERYTHING)
    target: Any = data
    for part in path[:-1]:
        target = target[part]
    del target[path[-1]]
    try:
        from_dict(data)
    except SpecFileError as error:
        assert_only_problems(error)
