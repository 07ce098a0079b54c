"""Whole stacks of several sites, as a person reads them. Update: python -m tests.hybrid.test_golden"""

from __future__ import annotations

import pytest

from tests.golden import require_golden, stack_text
from tests.hybrid.clusters import CASES, GOLDEN, cluster_plan, synthesized

UPDATE = "python -m tests.hybrid.test_golden"
SITES = [(case, site) for case in CASES for site in cluster_plan(case).sites]


def text(case: str, site: str) -> str:
    return stack_text(synthesized(case)[1][site])


@pytest.mark.parametrize(("case", "site"), SITES)
def test_the_stack_is_the_golden_one(case: str, site: str) -> None:
    require_golden(GOLDEN / case / f"{site}.tf.json", text(case, site), update=UPDATE)


if __name__ == "__main__":
    for one, there in SITES:
        (GOLDEN / one / f"{there}.tf.json").write_text(text(one, there), encoding="utf-8")
