"""The bindings' virtual environments, one each, from bench/requirements-NAME.txt, in the user's cache."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from scripts.progress import ROOT, run_logged, state_folder
from scripts.tools import Tool, install

BENCH = ROOT / "bench"


@cache
def interpreter(name: str) -> Path:
    """The Python of the environment `name`; made where it is missing or its requirements have changed.

    Raises:
        StepError: no registry or no disk.
    """
    pins = BENCH / f"requirements-{name}.txt"
    what = f"{name} for the benchmark (about 750 MB)"
    tool = Tool(f"bench-{name}", what, (pins,), _builder(name, pins), _link_nothing)
    install(tool)
    return tool.place() / "bin" / "python"


def _builder(name: str, pins: Path) -> Callable[[Path], None]:
    def build(place: Path) -> None:
        logs = state_folder() / "logs"
        run_logged([sys.executable, "-m", "venv", place], logs / f"bench-{name}-venv.log")
        pip = (place / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--no-input")
        run_logged([*pip, "--no-cache-dir", "--no-deps", "-r", pins], logs / f"bench-{name}.log")

    return build


def _link_nothing(place: Path) -> None:
    """Only the benchmark uses it, by its path."""
