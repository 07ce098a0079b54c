"""Which programs are real on this computer and which are doubles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from constructs_lib.errors import ToolError
from constructs_lib.simulator.double import PROGRAMS

REAL = "CLUSTERMESOS_REAL"
"""The variable that names a folder with real programs.

`mesos-master` and `mesos-agent` are binaries there or links to them; `marathon.tar`, `chronos.tar` and
`registrator.tar` are images as `docker save` writes them, since these programs run from images.
"""

IMAGES = ("marathon", "chronos", "registrator")
"""The programs that run from images."""


@dataclass(frozen=True)
class Program:
    """One program of a lab node; `real` is its file on this computer, or None for the double."""

    name: str
    real: Path | None

    @property
    def line(self) -> str:
        """What the lab prints of it with each result."""
        return (
            f"{self.name}: {self.real}"
            if self.real
            else f"{self.name}: a double (no {REAL}/{_file(self.name)})"
        )


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


def _file(name: str) -> str:
    return f"{name}.tar" if name in IMAGES else name


def _real(folder: Path, name: str) -> Path | None:
    file = folder / _file(name)
    if not file.exists():
        return None
    if not file.is_file() or not os.access(file, os.R_OK if name in IMAGES else os.X_OK):
        wanted = "an image archive that can be read" if name in IMAGES else "an executable program"
        raise ToolError(f"{REAL}: {file} is not {wanted}: mend it, or remove it to use the double")
    return file.resolve()
