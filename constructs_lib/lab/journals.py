"""What the machines of a lab wrote: journals, consoles and cloud-init's output, for a look afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from constructs_lib.lab.machine import Machine

TEXTS = ("var/log/cloud-init-output.log", "var/log/cloud-init.log")
LINES = 20_000
"""Of each journal, the last ones."""
BYTES = 4 * 2**20
"""Of each other text, the last ones."""
SECONDS = 30
"""How long one machine's journal may take to be read."""


def collect(machines: Iterable[Machine], folder: Path) -> None:
    """Write `<machine>.journal` and what else it said below `folder`, in the place of what is there.

    What can't be read of one machine is said in its file, and hinders none of the others.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    for machine in machines:
        _journal(machine.root / "var/log/journal", folder / f"{machine.name}.journal")
        for text in (*(machine.root / name for name in TEXTS), machine.folder / "console.log"):
            _end_of(text, folder / f"{machine.name}.{text.name}")


def _journal(source: Path, target: Path) -> None:
    read = ("journalctl", "--no-pager", f"--directory={source}", f"--lines={LINES}", "-o", "short-precise")
    with target.open("wb") as file:
        try:
            subprocess.run(read, stdout=file, stderr=subprocess.STDOUT, check=False, timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            file.write(f"{error}\n".encode())


def _end_of(source: Path, target: Path) -> None:
    """Copy the end of a text; nothing where there is none."""
    try:
        with source.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - BYTES))
            target.write_bytes(file.read(BYTES))
    except FileNotFoundError:
        return
    except OSError as error:
        target.write_text(f"{source}: can't be read: {error.strerror}\n")
