from __future__ import annotations

import math

import pytest

from constructs_lib.errors import SpecFileError
from constructs_lib.spec.document import MOST_VALUES, compose, resolve_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("true", True), ("FALSE", False),
        ("null", None), ("~", None), ("", None), ("12:30:00", "12:30:00"), ("2024-01-01", "2024-01-01"),
        ("0o17", 15), ("0x1F", 31), ("017", 17), ("-3", -3), ("1_000", "1_000"), ("3.10", 3.1),
        ("1e3", 1000.0),
        ("=", "="),
        (".inf", math.inf), ("-.INF", -math.inf), ("1.2.3", "1.2.3"), ("0b11", "0b11"),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    resolved = resolve_scalar(text)
    assert resolved == value
    assert type(resolved) is type(value)


def test_quoted_scalars_stay_text() -> None:
    assert compose("a: \"3\"\nb: 'true'\nc: |\n  7\n", "f").root.plain() == {
        "a": "3",
        "b": "true",
        "c": "7\n",
    }


def test_lines_are_those_of_keys_for_groups_and_of_values_otherwise() -> None:
    root = compose("a:\n  b:\n    - x\n    - y\n  c: >\n    folded\n", "f").root
    assert [root.line_of(path) for path in (("a",), ("a", "b"), ("a", "b", 1), ("a", "c"))] == [1, 2, 4, 5]


def test_a_missing_setting_has_the_line_of_its_group() -> None:
    assert compose("a:\n  b: {c: 1}\n", "f").root.line_of(("a", "b", "missing")) == 2
    assert compose("a: 1\n", "f").root.line_of(("missing",)) == 0


def test_an_alias_points_at_the_line_of_what_it_stands_for() -> None:
    root = compose("a: &x\n  b: 1\nc: *x\n", "f").root
    assert root.plain() == {"a": {"b": 1}, "c": {"b": 1}}
    assert root.line_of(("c", "b")) == 2


def test_of_merged_groups_the_own_key_wins_and_then_the_first() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc:\n  <<: [*a, *b]\n  y: 3\n"
    assert compose(text, "f").root.plain()["c"] == {"y": 3, "x": 1, "z": 2}  # type: ignore[index]


def test_values_are_counted_with_aliases_expanded() -> None:
    text = "a: &a [" + "1, " * 999 + "1]\n" + "".join(f"b{i}: *a\n" for i in range(MOST_VALUES // 1000))
    with pytest.raises(SpecFileError, match="more than 20000 values"):
        compose(text, "f")


def test_aliases_below_the_limit_are_fine() -> None:
    text = "a: &a [" + "1, " * 99 + "1]\n" + "".join(f"b{i}: *a\n" for i in range(100))
    assert len(compose(text, "f").root.plain()) == 101  # type: ignore[arg-type]
