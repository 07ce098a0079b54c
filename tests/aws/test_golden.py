"""Whole stacks, as a person reads them in review. Update: python -m tests.aws.test_golden"""

from __future__ import annotations

import pytest

from tests.aws.clusters import CASES, GOLDEN, cluster_stack, site_plan
from tests.golden import require_golden, stack_text

UPDATE = "python -m tests.aws.test_golden"


def text(case: str) -> str:
    return stack_text(cluster_stack(site_plan(case)))


@pytest.mark.parametrize("case", CASES)
def test_the_stack_is_the_golden_one(case: str) -> None:
    require_golden(GOLDEN / case / "cdk.tf.json", text(case), update=UPDATE)


if __name__ == "__main__":
    for each in CASES:
        (GOLDEN / each / "cdk.tf.json").write_text(text(each), encoding="utf-8")
