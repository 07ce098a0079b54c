"""`clustermesos lab` itself: a cluster is started, looked at, told to say what it wrote, and taken away."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from constructs_lib.lab.keeper import SOCKET, connect, connects, lab_folder
from constructs_lib.spec.workspace import Workspace
from tests.lab.healthy import BOOT_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
NODES = ("consul-1", "gateway-1", "master-1")


@dataclass
class CommandLine:
    """`clustermesos lab …` for one cluster.yaml, each a process of its own."""

    workspace: Workspace

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ("lab", "--file", str(self.workspace.cluster_file), *words)
        return subprocess.run(
            [sys.executable, "-m", "constructs_lib.cli.main", *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=BOOT_SECONDS,
        )

    def journals(self, folder: str | None = None) -> str:
        """Kept where the test fails."""
        return connect(self.workspace).journals(folder)


@pytest.fixture
def lab(lab_machine: None) -> Iterator[CommandLine]:
    folder = Path(tempfile.mkdtemp(prefix="clustermesos-"))
    shutil.copy(Path(__file__).with_name("alone.yaml"), folder / "cluster.yaml")
    command = CommandLine(Workspace(folder / "cluster.yaml"))
    try:
        yield command
    finally:
        if connects(lab_folder(command.workspace) / SOCKET):
            command("down")
        shutil.rmtree(folder)


def test_a_lab_that_a_user_starts_is_healthy_answers_tells_what_it_wrote_and_goes(lab: CommandLine) -> None:
    up = lab("up")

    assert up.returncode == 0, up.stdout + up.stderr
    for line in (
        "in a lab  zookeeper: source apt",
        "in a lab  sites.eu.registry.bucket: left out, images lie on the data volume",
        "in a lab  software.proxy: left out, no proxy is needed, packages come from the lab itself",
        "starting 3 machines",
        *(f"{name} is healthy" for name in NODES),
    ):
        assert line in up.stdout
    assert lab("status").stdout.count(" healthy") == len(NODES)
    asked = lab("exec", "master-1", "--", "sh", "-c", "clustermesos-health && test ! -e /etc/chronos; exit 3")
    assert (asked.returncode, asked.stderr) == (3, "")
    assert "zookeeper" in asked.stdout
    assert "chronos" not in asked.stdout

    logs = Path(lab("logs").stdout.strip())

    for name in NODES:
        journal = (logs / f"{name}.journal").read_text(errors="replace")
        assert "systemd[1]: Finished clustermesos-firewall.service" in journal
        assert (logs / f"{name}.cloud-init-output.log").stat().st_size
        assert (logs / f"{name}.console.log").exists()
    assert lab("down").returncode == 0
    assert not lab_folder(lab.workspace).exists()
    after = lab("status")
    assert after.returncode == 1
    assert "clustermesos lab up starts one" in after.stderr
