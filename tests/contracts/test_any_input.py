"""Whatever stands in a contract, problems come out, one line each, and no traceback."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from constructs_lib.contracts.check import unkept
from constructs_lib.contracts.compile import compile_contract
from constructs_lib.contracts.load import Loaded, parse_contract
from constructs_lib.errors import ContractError
from constructs_lib.spec.document import Node
from tests.contracts.clusters import hybrid
from tests.contracts.test_golden import EXAMPLES

PLAN = hybrid()
GOOD: list[dict[str, Any]] = [
    yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(EXAMPLES.glob("*.yaml"))
]
WORDS = (*"[]{}|!%#~'\"\n\t-:", "name", "dev", "ops", "image", "- ", ": ", "&a ", "*a", "<<", "  ", "0o7")

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def tried(text: str | bytes) -> None:
    """Load, hold against the cluster, and compile whatever is left."""
    try:
        contract = parse_contract(text)
    except ContractError as error:
        assert error.problems
        for problem in error.problems:
            assert "\n" not in str(problem)
            for words in ("Input should", "pydantic", "NoneType", "object at 0x", "another value"):
                assert words not in problem.message
        return
    loaded = Loaded(contract=contract, file="contract.yaml", root=Node(1, entries={}))
    if not unkept({contract.name: loaded}, PLAN):
        compile_contract(contract, PLAN)


def places(data: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = data.items() if isinstance(data, dict) else ()
    return [path, *(place for key, child in below for place in places(child, (*path, key)))][not path :]


def put(data: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    if not path:
        return data
    rest = data.get(path[0])
    below = put(rest, path[1:], value) if len(path) > 1 and isinstance(rest, dict) else value
    return data | {path[0]: below}


PLACES = [(number, place) for number, good in enumerate(GOOD) for place in places(good)]


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    tried(data)


@given(st.lists(st.sampled_from(WORDS), max_size=60))
def test_any_yaml(words: list[str]) -> None:
    tried("".join(words))


@pytest.mark.slow
@settings(deadline=None)
@given(values)
def test_any_value_as_the_whole_contract(value: object) -> None:
    tried(yaml.safe_dump(value))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PLACES), values)
def test_any_value_in_any_place_of_a_good_contract(place: tuple[int, tuple[str, ...]], value: object) -> None:
    number, path = place
    tried(yaml.safe_dump(put(GOOD[number], path, value), allow_unicode=True))
