"""Every node's whole text, as a person reads it in review. Update: python -m tests.nodes.test_golden"""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from constructs_lib.nodes.cloud_init import pack
from constructs_lib.nodes.render import render
from tests.nodes.clusters import CASES, SOURCE, nodes, site

GOLDEN = Path(__file__).with_name("golden")
UPDATE = "python -m tests.nodes.test_golden"


def texts(case: str) -> dict[Path, str]:
    planned = site(case)
    return {
        GOLDEN / case / f"{node.name}.yaml": pack(render(planned, node), SOURCE) for node in nodes(planned)
    }


@pytest.mark.parametrize("case", CASES)
def test_node_texts_are_the_golden_ones(case: str) -> None:
    wanted = texts(case)
    differences = [
        line
        for path, text in wanted.items()
        for line in difflib.unified_diff(
            (path.read_text(encoding="utf-8") if path.exists() else "").splitlines(keepends=True),
            text.splitlines(keepends=True),
            str(path.relative_to(GOLDEN)),
            "rendered",
        )
    ]
    left_over = set((GOLDEN / case).glob("*")) - set(wanted)

    assert not differences, f"{''.join(differences)}\nIf that is what you want: {UPDATE}"
    assert not left_over, f"no node has these texts any more; run {UPDATE}"


def update() -> None:
    for case in CASES:
        (GOLDEN / case).mkdir(parents=True, exist_ok=True)
        for old in (GOLDEN / case).glob("*"):
            old.unlink()
        for path, text in texts(case).items():
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    update()
