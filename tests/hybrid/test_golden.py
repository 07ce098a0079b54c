"""Whole stacks of several sites, as a person reads them in review. Update: python -m tests.hybrid.test_golden

Of the nodes' texts only the late values are kept: the texts themselves are in tests/nodes/golden.
"""

from __future__ import annotations

import difflib
import json

import pytest

from tests.aws.test_golden import late_values
from tests.hybrid.clusters import CASES, GOLDEN, cluster_plan, synthesized

UPDATE = "python -m tests.hybrid.test_golden"
SITES = [(case, site) for case in CASES for site in cluster_plan(case).sites]


def text(case: str, site: str) -> str:
    stack = dict(synthesized(case)[1][site])
    stack["locals"] = {
        name: late_values(value) if name.endswith("_user_data") else value
        for name, value in stack["locals"].items()
    }
    return json.dumps(stack, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


@pytest.mark.parametrize(("case", "site"), SITES)
def test_the_stack_is_the_golden_one(case: str, site: str) -> None:
    path = GOLDEN / case / f"{site}.tf.json"
    kept = path.read_text(encoding="utf-8") if path.exists() else ""

    difference = "".join(
        difflib.unified_diff(
            kept.splitlines(keepends=True),
            text(case, site).splitlines(keepends=True),
            f"golden/{case}/{site}",
            "synthesized",
        )
    )

    assert not difference, f"{difference}\nIf that is what you want: {UPDATE}"


def update() -> None:
    for case, site in SITES:
        (GOLDEN / case / f"{site}.tf.json").write_text(text(case, site), encoding="utf-8")


if __name__ == "__main__":
    update()
