"""The page of sizes: every role of every platform is on it, and within the bound."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bench.platforms import PLATFORMS
from bench.sizes import BOUND, EVERYTHING, KINDS, USUAL, Size, lines, measured
from constructs_lib.components.model import Role
from scripts.bench_sizes import main
from scripts.progress import ROOT


@cache
def sizes() -> tuple[Size, ...]:
    return tuple(measured())


@pytest.mark.parametrize("size", sizes(), ids=lambda size: f"{size.cluster}-{size.site}-{size.role}")
def test_every_text_leaves_a_quarter_of_the_tightest_platforms_limit(size: Size) -> None:
    assert size.met, f"{size.kind}: {size.bytes:,} bytes, at most {BOUND:,}"


def test_every_role_is_measured_on_every_platform() -> None:
    for kind in KINDS:
        for platform in PLATFORMS:
            found = {size.role for size in sizes() if (size.kind, size.cluster) == (kind, platform)}
            assert found == set(Role), (kind, platform)


def test_every_option_makes_every_role_larger() -> None:
    by_kind = {
        kind: {(s.cluster, s.site, s.role): s.bytes for s in sizes() if s.kind == kind} for kind in KINDS
    }

    assert by_kind[USUAL].keys() == by_kind[EVERYTHING].keys()
    assert all(by_kind[EVERYTHING][key] > size for key, size in by_kind[USUAL].items())


def test_a_text_over_the_bound_stands_out_on_the_page() -> None:
    large = Size(kind=USUAL, cluster="aws", site="eu", role=Role.MASTER, bytes=BOUND + 1)
    page = "\n".join(
        lines([large, Size(kind=EVERYTHING, cluster="aws", site="eu", role=Role.MASTER, bytes=2)])
    )

    assert "| master | **12,289** |" in page
    assert "| master | 2 |" in page
    assert (
        "The largest: 12,289 bytes (master on aws, the benchmark's clusters), 75% of what AWS takes." in page
    )


def test_the_command_writes_the_page_that_is_in_the_repository_but_for_the_numbers(tmp_path: Path) -> None:
    report = tmp_path / "page.md"

    assert main(["--report", str(report)]) == 0

    kept = (ROOT / "docs" / "user-data.md").read_text(encoding="utf-8")
    assert [_words(line) for line in report.read_text(encoding="utf-8").splitlines()] == [
        _words(line) for line in kept.splitlines()
    ]


def _words(line: str) -> str:
    """Without numbers: two compressors differ by some bytes."""
    return "".join(letter for letter in line if not letter.isdigit())
