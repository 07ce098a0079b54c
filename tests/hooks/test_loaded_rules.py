"""Expressions as contracts have them, and as Prometheus prints them again."""

from __future__ import annotations

import pytest

from constructs_lib.hooks.loaded_rules import same_expression, seconds_of


@pytest.mark.parametrize(
    ("ours", "printed"),
    [
        ("sum by (contract) (up)<1", "sum by (contract) (up) < 1"),
        ("time() - min(a) > 1209600", "time() - min(a) > 1.2096e+06"),
        ("max_over_time(a[259200s])", "max_over_time(a[3d])"),
        ("rate(a[90s])", "rate(a[1m30s])"),
        ("a > 0.050", "a > 0.05"),
        ('a{x="node_5m",y="3"} > 1', 'a{x="node_5m",y="3"} > 1'),
    ],
)
def test_what_prometheus_prints_is_the_same(ours: str, printed: str) -> None:
    assert same_expression(ours, printed)


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        ("a > 1", "a > 2"),
        ("a > 10", "a > 1e+02"),
        ("a[5m]", "a[5h]"),
        ('up{contract="shop"}', 'up{contract="shops"}'),
        ("metric_5m > 1", "metric_300s > 1"),
        ("a1 > 1", "a1.0 > 1"),
    ],
)
def test_what_means_something_else_is_not(ours: str, other: str) -> None:
    assert not same_expression(ours, other)


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0), ("90s", 90), ("1m30s", 90), ("1d", 86400), ("500ms", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds
