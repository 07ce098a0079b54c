"""Which programs are real on this computer and which are doubles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from constructs_lib.errors import ToolError
from constructs_lib.simulator.double import PROGRAMS

REAL = "CLUSTERMESOS_REAL"
"""The variable that names a folder with real programs: executable files, or links to them, by name.

Instead of `marathon`, `chronos` and `registrator`, which run from images, there may be `marathon.tar` …,
images as `docker save` writes them.
"""

IMAGES = ("marathon", "chronos", "registrator")
"""The programs that run from images."""


@dataclass(frozen=True)
class Program:
    """One program of a lab node; `real` is its file on this computer, or None for the double."""

    name: str
    real: Path | None

    @property
    def is_image(self) -> bool:
        """Whether the real one is an image archive."""
        return self.real is not None and self.real.suffix == ".tar"

    @property
    def line(self) -> str:
        """What the lab prints of it with each result."""
        return f"{self.name}: {self.real}" if self.real else f"{self.name}: a double (no {REAL}/{self.name})"


def programs(environ: Mapping[str, str] = os.environ) -> tuple[Program, ...]:
    """Every doubled program, in the order of :data:`.double.PROGRAMS`.

    Raises:
        ToolError: `CLUSTERMESOS_REAL` names no folder, or a file in it can't be executed. A program that
            the folder lacks is a double, and its line says so.
    """
    named = environ.get(REAL)
    if not named:
        return tuple(Program(name, None) for name in PROGRAMS)
    folder = Path(named)
    if not folder.is_dir():
        raise ToolError(
            f"{REAL}: got {named!r}, expected a folder with any of {', '.join(PROGRAMS)}; "
            "unset it to use the doubles"
        )
    return tuple(Program(name, _real(folder, name)) for name in PROGRAMS)


def _real(folder: Path, name: str) -> Path | None:
    program, image = folder / name, folder / f"{name}.tar"
    if program.exists():
        if not program.is_file() or not os.access(program, os.X_OK):
            raise ToolError(
                f"{REAL}: {program} is no program: make it executable, or remove it for the double"
            )
        return program.resolve()
    if name not in IMAGES or not image.exists():
        return None
    if not image.is_file() or not os.access(image, os.R_OK):
        raise ToolError(f"{REAL}: {image} can't be read: mend it, or remove it for the double")
    return image.resolve()
