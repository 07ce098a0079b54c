from __future__ import annotations

import pytest

from constructs_lib.aws.sizes import SIZES, instance_type
from constructs_lib.errors import SpecError

PATH = "sites.eu.masters"


@pytest.mark.parametrize(
    ("cpus", "memory_gib", "expected"),
    [
        (1, 2, "t3.small"),
        (2, 4, "c7i.large"),
        (2, 8, "m7i.large"),
        (2, 16, "r7i.large"),
        (3, 4, "c7i.xlarge"),
        (4, 16, "m7i.xlarge"),
        (1, 20, "r7i.xlarge"),
        (8, 32, "m7i.2xlarge"),
        (64, 512, "r7i.16xlarge"),
    ],
)
def test_the_smallest_type_that_holds_both_is_chosen(cpus: int, memory_gib: int, expected: str) -> None:
    assert instance_type(cpus, memory_gib, None, path=PATH) == expected


def test_the_platforms_own_word_wins() -> None:
    assert instance_type(1, 1, "x2iedn.32xlarge", path=PATH) == "x2iedn.32xlarge"


def test_an_impossible_size_names_the_setting_and_what_is_possible() -> None:
    with pytest.raises(
        SpecError, match=r"sites\.eu\.masters: got '193 cpus and 8 GiB', expected at most 192 cpus"
    ):
        instance_type(193, 8, None, path=PATH)


def test_more_never_costs_less() -> None:
    for cpus in range(1, 192, 7):
        sizes = [size for size in SIZES if size.cpus >= cpus]
        assert sizes == sorted(sizes)
