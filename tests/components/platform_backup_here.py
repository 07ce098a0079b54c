"""A node's platform-backup and its parts on this machine; only addresses, folders and target are others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.components.model import Role
from constructs_lib.components.platform_backup import PARTS, SECRETS
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import WHOLE

PROGRAM = "/usr/local/sbin/platform-backup"
SETTINGS = "/etc/clustermesos/platform-backup.env"
REPOSITORY = "s3:https://s3.eu-west-3.amazonaws.com/saved"
FIELDS: dict[str, Any] = {
    "backups": {"offsite": {"repository": REPOSITORY, "password": "backup/platform"}},
    "app_secrets": {"backup/platform": {"pools": [], "made": True}},
    "platform_backup": {"to": "offsite"},
}
FROM_PACKAGES = {"components": {"zookeeper": {"source": "apt"}, "registry": {"source": "apt"}}}


def planned(**fields: Any) -> SitePlan:
    """The whole cluster with a target for its own state."""
    return plan(ClusterSpec.model_validate(WHOLE | {"software": FROM_PACKAGES} | FIELDS | fields)).site("eu")


def files_of(role: Role, number: int = 1, **fields: Any) -> NodeFiles:
    """A node of that cluster."""
    site = planned(**fields)
    return render(site, site.nodes_of(role)[number - 1])


class Saver:
    """A node below `folder`: its program, and the part `only`; `others` is rewritten in both.

    `environment` is what its programs need to know of this machine.
    """

    def __init__(
        self, folder: Path, files: NodeFiles, only: str, others: Mapping[str, str] = {}, **environment: str
    ) -> None:
        if shutil.which("restic") is None:
            pytest.skip("restic is missing: scripts/system_packages.sh installs it")
        self.folder, self.files, self.only, self.others = folder, files, only, dict(others)
        self.target = folder / "target"
        for path in ("doubles", "srv/data", "var/lib/prometheus/node-exporter", SECRETS.lstrip("/")):
            (folder / path).mkdir(parents=True, exist_ok=True)
        (folder / SECRETS.lstrip("/") / "RESTIC_PASSWORD").write_text("not a secret")
        self.double("chown", "exit 0")
        self.environment = environment
        self.says_that_units_run(False)
        for path in (PROGRAM, SETTINGS, f"{PARTS}/{only}"):
            place = folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(self.here(files.file(path).content))
            place.chmod(0o755)

    def double(self, name: str, script: str) -> None:
        """A double of a program that must not run here."""
        path = self.folder / "doubles" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def says_that_units_run(self, runs: bool) -> None:
        self.double("systemctl", f"exit {0 if runs else 3}")

    def here(self, text: str) -> str:
        """With this machine's places."""
        for old, new in self.others.items():
            text = text.replace(old, new)
        text = re.sub(r"(?<![\w/.])/(etc|srv|var)/", rf"{self.folder}/\1/", text)
        return text.replace(PARTS, f"{self.folder}{PARTS}").replace(REPOSITORY, str(self.target))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The program, as its timers or an operator start it."""
        return subprocess.run(
            [str(self.folder / PROGRAM.lstrip("/")), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
            env=os.environ | self.environment | {"PATH": f"{self.folder / 'doubles'}:{os.environ['PATH']}"},
        )

    @property
    def repository(self) -> Path:
        """This node's own."""
        return self.target / self.files.cluster / "_platform" / self.files.site / self.files.name

    def restic(self, *words: str) -> list[str]:
        """The command and what it needs to know, for this node's repository."""
        password = self.folder / SECRETS.lstrip("/") / "RESTIC_PASSWORD"
        return ["restic", "-r", str(self.repository), "--password-file", str(password), *words]

    def metric(self, name: str) -> float | None:
        """What Prometheus would read."""
        folder = self.folder / "var/lib/prometheus/node-exporter"
        texts = "\n".join(path.read_text() for path in folder.glob("*.prom"))
        found = re.findall(rf'(?m)^clustermesos_platform_{name}{{state="{self.only}"}} (.*)$', texts)
        return float(found[0]) if found else None
