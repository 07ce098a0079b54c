"""Golden stacks: how a synthesized one is kept as text, compared, and replaced when a person asks for it."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def stack_text(stack: Json) -> str:
    """A stack as its golden file has it. Of the nodes' texts only the late values are kept: the texts
    themselves are in tests/nodes/golden.
    """
    kept = {
        name: _late_values(value) if name.endswith("_user_data") else value
        for name, value in stack["locals"].items()
    }
    return json.dumps(stack | {"locals": kept}, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def require_golden(path: Path, text: str, *, update: str) -> None:
    """Fails with the difference where the file at `path` is not `text`, and says how to `update` it."""
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = (kept.splitlines(keepends=True), text.splitlines(keepends=True))
    difference = "".join(difflib.unified_diff(*lines, f"{path.parent.name}/{path.name}", "synthesized"))
    assert not difference, f"{difference}\nIf that is what you want: {update}"


def _late_values(texts: str | dict[str, str]) -> Any:
    if isinstance(texts, dict):
        return {key: _late_values(text) for key, text in texts.items()}
    assert texts.startswith("#cloud-config\n")
    return ["#cloud-config", *re.findall(r"(?<!\$)\$\{[^}]*\}", texts)]
