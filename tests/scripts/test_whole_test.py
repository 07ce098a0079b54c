from __future__ import annotations

from pathlib import Path

from scripts.whole_test import MACHINES, parts

ROOT = Path(__file__).parents[2]


def test_each_folder_of_tests_is_in_exactly_one_part() -> None:
    machines, others = parts()

    assert all((ROOT / folder).is_dir() for folder in MACHINES)
    assert [argument for argument in machines if argument.startswith("tests/")] == list(MACHINES)
    assert [argument.removeprefix("--ignore=") for argument in others] == list(MACHINES)
