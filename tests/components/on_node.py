"""A node's shell script or program run for real, with its absolute paths below a temporary root."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from constructs_lib.nodes.model import NodeFiles


class Root:
    """A folder that stands for / of a node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()

    def put(self, path: str, text: str) -> None:
        """A file of the node, and the folders above it."""
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).write_text(text)

    def at(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def double(self, program: str, script: str = "exit 0") -> None:
        """A double of a program that this machine lacks, or must not run."""
        path = self.folder / "bin" / program
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(
        self, text: str, *arguments: str, replaced: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a script's text; absolute paths, and what `replaced` names, are looked for below the root."""
        folders = ("/etc/", "/run/", "/var/", "/srv/", "/proc/", "/root/")
        for folder in folders:
            text = text.replace(f'"{folder}', f'"{self.folder}{folder}')
            text = text.replace(f" {folder}", f" {self.folder}{folder}").replace(
                f"({folder}", f"({self.folder}{folder}"
            )
        for old, new in (replaced or {}).items():
            assert old in text, old
            text = text.replace(old, new)
        path = self.folder / "script"
        path.write_text(text)
        interpreter = sys.executable if text.startswith("#!/usr/bin/python3") else "sh"
        environment = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        return subprocess.run(
            [interpreter, str(path), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
            env=environment,
        )

    def complete(self, files: NodeFiles, unit: str) -> subprocess.CompletedProcess[str]:
        """Runs what completes the unit's settings with secrets before it starts, as the unit itself says."""
        text = files.file(f"/etc/systemd/system/{unit}").content.replace("\\\n", "")
        [line] = re.findall(r"(?m)^ExecStartPre=\+?(.*complete-secrets.*)$", text)
        program, *paths = line.split()
        for source in paths[0::2]:
            if not self.at(source).exists():
                self.put(source, files.file(source).content)
        here = {"Path(path)": f"Path('{self.folder}' + path)"}
        return self.run(files.file(program).content, *(str(self.at(path)) for path in paths), replaced=here)
