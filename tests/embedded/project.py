"""A folder as a user of the cdktf command has it, and what that command says of its stacks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.cdktf import OPTIONS
from tests.embedded.cluster import ROOT, Cluster


@dataclass(frozen=True)
class Project:
    """A folder with cluster.yaml and cdktf.json; `command` is the cdktf that runs in it."""

    command: Path
    cluster: Cluster

    @classmethod
    def begun(cls, command: Path, cluster: Cluster) -> Project:
        """With the two files written."""
        app = {"language": "python", "app": f"{sys.executable} -m stacks", "projectId": "test"}
        (cluster.folder / "cluster.yaml").write_text(yaml.safe_dump(cluster.settings, sort_keys=False))
        (cluster.folder / "cdktf.json").write_text(json.dumps(app | {"sendCrashReports": "false"}))
        return cls(command, cluster)

    def cdktf(self, action: str) -> str:
        """Run it on every stack; what it prints."""
        done = subprocess.run(
            [self.command, action, "*", *OPTIONS],
            cwd=self.cluster.folder,
            env=self.cluster.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        (self.cluster.folder / f"{action}.log").write_text(done.stdout + done.stderr)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        return done.stdout

    def states(self) -> dict[str, dict[str, Any]]:
        """Stack → its state, of those that were deployed ever."""
        folder = self.cluster.folder / ".clustermesos" / "state"
        return {file.stem: json.loads(file.read_text()) for file in folder.glob("*.tfstate")}


def finished(printed: str) -> list[str]:
    """The stacks in the order in which Terraform said that it was done with each.

    Of lines that came at once, cdktf names the stack before the first alone and indents the others.
    """
    stack, found = "", []
    for line in printed.splitlines():
        if line[:1].strip():
            stack = line.split()[0]
        if re.search(r"(?:Apply complete!|No changes\.|Destroy complete!)", line):
            found.append(stack)
    return list(dict.fromkeys(found))
