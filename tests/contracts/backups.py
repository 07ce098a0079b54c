"""Backup jobs on this machine: the very commands that the jobs carry, with their folders somewhere else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.contracts.compile import compile_contract
from tests.contracts.clusters import one_site
from tests.contracts.examples import contract

FOLDERS = {
    "/data": "data",
    "/dump": "dump",
    "/metrics": "metrics",
    "/run/secrets": "secrets",
    "/scratch": "scratch",
    "/tmp/note": "note",
    "/repository": "repository",
}
"""Folder in the container → folder here."""


def need_restic() -> None:
    """Skip by name where Debian's restic is not installed."""
    if shutil.which("restic") is None:
        pytest.skip("restic is missing: scripts/system_packages.sh installs it")


@dataclass
class Machine:
    """An agent's folders, and the jobs of one contract on it."""

    here: Path
    jobs: dict[str, dict[str, Any]]

    def run(self, job: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """One run of a job as Chronos starts it: the command by sh, nothing but the job's own environment."""
        given = {each["name"]: self._here(each["value"]) for each in self.jobs[job]["environmentVariables"]}
        given |= changed
        return subprocess.run(
            ["/bin/sh", "-c", self.jobs[job]["command"]],
            env={**self._container(), **given},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd=self.here,
        )

    def restic(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """restic by hand, on the jobs' repository."""
        return subprocess.run(
            ["restic", *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )

    def environment(self) -> dict[str, str]:
        """What restic needs to know of the repository."""
        return {
            **self._container(),
            "RESTIC_REPOSITORY": str(self.repository),
            "RESTIC_PASSWORD_FILE": f"{self.here}/secrets/RESTIC_PASSWORD",
        }

    def _container(self) -> dict[str, str]:
        """Each container is a new one, without what restic kept of the repository in the last."""
        home = Path(tempfile.mkdtemp(dir=self.here))
        return {"HOME": str(home), "PATH": os.environ["PATH"]}

    def _here(self, value: str) -> str:
        for there, here in FOLDERS.items():
            value = re.sub(rf"(?<![\w/]){there}(?![\w-])", str(self.here / here), value)
        return value

    @property
    def data(self) -> Path:
        """The volume."""
        return self.here / "data"

    @property
    def repository(self) -> Path:
        """restic's."""
        return self.here / "repository" / "demo" / "shop"

    def metric(self, name: str) -> float | None:
        """The newest value of a metric that a job has told, whichever it was."""
        found = [
            line.rpartition(" ")[2]
            for path in sorted((self.here / "metrics").glob("*.prom"))
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.startswith(f"clustermesos_{name}{{")
        ]
        return float(found[-1]) if found else None


def machine(here: Path, *, dev: Mapping[str, Any] | None = None, **backup: Any) -> Machine:
    """The jobs of a contract with one volume, whose repository is a folder; `dev` is what else it says."""
    need_restic()
    for folder in FOLDERS.values():
        (here / folder).mkdir(parents=True, exist_ok=True)
    (here / "secrets" / "RESTIC_PASSWORD").write_text("not a secret", encoding="utf-8")
    plan = one_site(
        backups={"folder": {"repository": "/repository", "password": "backup/password"}},
        app_secrets={"backup/password": {"pools": ["data"]}, "shop/db": {"pools": ["data"]}},
    )
    shop = contract(
        dev={"state": {"volumes": {"data": {"path": "/var/lib/shop"}}}, **(dev or {})},
        pools=["data"],
        deploy={"strategy": "recreate"},
        backup={"volume": "data"} | backup,
    )
    made = compile_contract(shop, plan)
    jobs = (*made.jobs, *made.restores)
    return Machine(here, {job["name"].removeprefix("shop."): dict(job) for job in jobs})
