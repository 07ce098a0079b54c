"""The recorded case (see cases/README.md for its origin), and programs in the place of a checkov."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from constructs_lib.scan.layout import canonical

CASES = Path(__file__).with_name("cases")
RECORDED = CASES / "checkov-3.3.30.json"


def stack() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((CASES / "stack.tf.json").read_text(encoding="utf-8"))
    return document


def recorded() -> str:
    return RECORDED.read_text(encoding="utf-8")


def synthesized(folder: Path, content: dict[str, Any] | None = None, name: str = "demo-eu") -> Path:
    """A synthesized folder with one stack in it."""
    place = folder / "stacks" / name
    place.mkdir(parents=True)
    (place / "cdk.tf.json").write_text(canonical(stack() if content is None else content), encoding="utf-8")
    return folder


def program(file: Path, body: str) -> str:
    """A shell script to run instead of checkov; its path."""
    file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)
