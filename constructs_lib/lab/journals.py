"""What the machines of a lab wrote: journals, consoles and cloud-init's output, for a look afterwards."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from constructs_lib.lab.machine import Machine

TEXTS = ("var/log/cloud-init-output.log", "var/log/cloud-init.log")


def collect(machines: Iterable[Machine], folder: Path) -> None:
    """Write `<machine>.journal` and what else it said below `folder`, in the place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    for machine in machines:
        with (folder / f"{machine.name}.journal").open("wb") as journal:
            subprocess.run(
                [
                    "journalctl",
                    "--no-pager",
                    f"--directory={machine.root}/var/log/journal",
                    "-o",
                    "short-precise",
                ],
                stdout=journal,
                stderr=subprocess.STDOUT,
                check=False,
            )
        for text in (*(machine.root / name for name in TEXTS), machine.folder / "console.log"):
            if text.exists():
                shutil.copyfile(text, folder / f"{machine.name}.{text.name}")
