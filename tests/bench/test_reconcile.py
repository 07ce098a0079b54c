"""The bench of runs over many contracts, with few of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.reconcile import MOST_MIB, MOST_REQUESTS, Measured, lines, met, play

KEPT = Measured(
    contracts=1000, changed=0, requests=4, files_seconds=1.5, seconds=0.4, cpu_seconds=3, mib=60.0, good=True
)


@pytest.mark.slow
def test_unchanged_contracts_cost_four_requests_and_changed_ones_cost_the_same_among_few_and_many(
    consul: Path,
) -> None:
    few, many = play(5, [2]), play(20, [2])

    assert [found.requests for found in (few[0], many[0])] == [4, 4]
    assert few[1].requests == many[1].requests
    assert all(found.good for found in (*few, *many))


@pytest.mark.slow
def test_a_thousand_unchanged_contracts_cost_four_requests_and_bounded_memory(consul: Path) -> None:
    (found,) = play(1000, [])

    assert (found.contracts, found.requests, found.good) == (1000, MOST_REQUESTS, True)
    assert found.mib <= MOST_MIB


@pytest.mark.parametrize(
    ("worse", "kept"),
    [
        ({}, True),
        ({"requests": 5}, False),
        ({"seconds": 0.6}, False),
        ({"files_seconds": 1.7}, False),
        ({"mib": 201.0}, False),
        ({"good": False}, False),
    ],
)
def test_each_bound_counts_and_the_page_says_so(worse: dict[str, float], kept: bool) -> None:
    found = [replace(KEPT, **worse), replace(KEPT, changed=100, requests=504, seconds=9.0)]  # type: ignore[arg-type]

    assert met(found) is kept
    text = "\n".join(lines(found))
    assert ("**not kept**" in text) is not kept
    if kept:
        assert "| 1,000 | 100 | 504 | 5.0 | 1.50 | 9.00 | 10.50 | 3.0 | 60 |" in text
