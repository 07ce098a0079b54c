"""A real Alertmanager on loopback, and what amtool finds in it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.embedded_aws import free_port
from tests.conftest import need

CONFIG = """\
route: {receiver: nobody}
receivers: [{name: nobody}]
"""


@dataclass(frozen=True)
class Alertmanager:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def labels(self, *matchers: str) -> list[dict[str, Any]]:
        """The labels of the alerts that fit; none where it does not answer yet."""
        command = [str(need("amtool")), f"--alertmanager.url={self.url}", "alert", "query", "--output=json"]
        done = subprocess.run([*command, *matchers], capture_output=True, text=True, check=False, timeout=30)
        return [one["labels"] for one in json.loads(done.stdout)] if done.returncode == 0 else []


@contextmanager
def alertmanager(folder: Path) -> Iterator[Alertmanager]:
    program = need("prometheus-alertmanager")
    folder.mkdir()
    (folder / "config.yml").write_text(CONFIG)
    port = free_port()
    command = [
        str(program),
        f"--config.file={folder}/config.yml",
        f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield Alertmanager(port)
    finally:
        process.terminate()
        process.wait(timeout=30)
