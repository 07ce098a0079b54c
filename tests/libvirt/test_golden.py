"""Whole stacks, as a person reads them in review. Update: python -m tests.libvirt.test_golden

Of the nodes' texts only the late values are kept: the texts themselves are in tests/nodes/golden.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import Any

import pytest

from tests.libvirt.clusters import CASES, GOLDEN, cluster_stack, site_plan

UPDATE = "python -m tests.libvirt.test_golden"


def text(case: str) -> str:
    stack = cluster_stack(site_plan(case))
    stack["locals"] = {
        name: _late_values(value) if name.endswith("_user_data") else value
        for name, value in stack["locals"].items()
    }
    return json.dumps(stack, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _late_values(texts: str | dict[str, str]) -> Any:
    if isinstance(texts, dict):
        return {key: _late_values(text) for key, text in texts.items()}
    assert texts.startswith("#cloud-config\n")
    return ["#cloud-config", *re.findall(r"(?<!\$)\$\{[^}]*\}", texts)]


@pytest.mark.parametrize("case", CASES)
def test_the_stack_is_the_golden_one(case: str) -> None:
    path = GOLDEN / case / "cdk.tf.json"
    kept = path.read_text(encoding="utf-8") if path.exists() else ""

    difference = "".join(
        difflib.unified_diff(
            kept.splitlines(keepends=True),
            text(case).splitlines(keepends=True),
            f"golden/{case}",
            "synthesized",
        )
    )

    assert not difference, f"{difference}\nIf that is what you want: {UPDATE}"


def update() -> None:
    for case in CASES:
        (GOLDEN / case / "cdk.tf.json").write_text(text(case), encoding="utf-8")


if __name__ == "__main__":
    update()
