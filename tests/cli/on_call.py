"""docs/on-call.md as a night that can be lived through: its commands in order, and what each prints."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from constructs_lib.simulator.web import ask
from scripts.embedded_aws import free_port
from scripts.progress import ROOT
from tests.hooks.consul_server import consul_server
from tests.lab.asking import until

PAGE = ROOT / "docs" / "on-call.md"
EXAMPLE = ROOT / "examples" / "on_call"
SPEED = "40"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r" +# exit code ([0-9]+)$")
_AGENT = re.compile(r"127\.[1-9][0-9]*\.0\.")
_PORT = "28080"
"""Marathon's, in the page."""
_ENOUGH = 60.0
_VARYING = (
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z?", "TIME"),
    (r"\b[0-9a-f]{8}\b", "VERSION"),
    (r"\b(shop|orders)[_.][\w.-]+\.[0-9a-f-]{36}\S*", "TASK"),
    (r"\bin [0-9]+ s\b", "in N s"),
    (r"failed [0-9]+ times", "failed N times"),
    (r"127\.0\.0\.1:[0-9]+", "ADDRESS"),
    (r"127\.[1-9][0-9]*\.0\.", "127.N.0."),
    (r"(offers|last failure): .*", r"\1: …"),
    (r"rolled back by \w+", "rolled back by NAME"),
    (r"; (has not run yet|last succeeded TIME)", "; RAN"),
    (r" {2,}", "  "),
)
"""What is other at each run, and what stands for it when outputs are compared."""


@dataclass(frozen=True)
class Step:
    """One command of the page; `typed` is its line, `code` what it is to end with."""

    typed: str
    expected: str

    @property
    def command(self) -> str:
        return _CODE.sub("", self.typed)

    @property
    def code(self) -> int:
        found = _CODE.search(self.typed)
        return int(found[1]) if found else 0


def steps(page: str) -> list[list[Step]]:
    """The commands of each block."""
    return [
        [
            Step(*(part + "\n").split("\n", 1))
            for part in re.split(r"^\$ ", block.rstrip("\n"), flags=re.MULTILINE)
            if part
        ]
        for block in _BLOCK.findall(page)
    ]


def masked(text: str) -> list[str]:
    """The lines without what is other at each run."""
    for pattern, stands in _VARYING:
        text = re.sub(pattern, stands, text)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


class Night:
    """The folder of the example, and the way to its simulator."""

    def __init__(self, folder: Path, token: str) -> None:
        self.folder = folder
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLUSTERMESOS")},
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder / "home"),
            "CLUSTERMESOS_SIMULATOR": str(folder / "simulator.json"),
            "CONSUL_HTTP_TOKEN": token,
        }

    @property
    def marathon(self) -> str:
        text = (self.folder / "simulator.json").read_text(encoding="utf-8")
        found = re.search(r'"marathon": \[\s*"127\.0\.0\.1:([0-9]+)"', text)
        assert found, text
        return found[1]

    def meant(self, command: str) -> str:
        """The command with the addresses that this simulator's agents have, where it names one."""
        if not _AGENT.search(command):
            return command
        tasks = ask(f"http://127.0.0.1:{self.marathon}/v2/tasks")[1]["tasks"]
        found = _AGENT.match(tasks[0]["host"])
        assert found
        return _AGENT.sub(found[0], command)

    def run(self, command: str) -> tuple[int, str]:
        """Its exit code and what it says: on standard output, or, where that is nothing, as an error."""
        done = subprocess.run(
            ["/bin/sh", "-c", self.meant(command).replace(_PORT, self.marathon)],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout or done.stderr


@contextlib.contextmanager
def night(consul: Path, folder: Path) -> Iterator[Night]:
    """A simulator of the example's cluster, registering at a real Consul."""
    (folder / "consul").mkdir(parents=True)
    with (
        consul_server(consul, folder / "consul") as server,
        simulating(folder, f"eu={server.url}", server.token) as made,
    ):
        yield made


@contextlib.contextmanager
def begun_as_the_page_says(consul: Path, folder: Path) -> Iterator[Night]:
    """As its first block begins: a Consul for whoever plays, which has no access lists; on free ports."""
    (folder / "bin").mkdir(parents=True)
    (line,) = re.findall(r"^(consul agent .*) &$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    ports = {name: free_port() for name in ("http", "dns", "server", "serf-lan", "serf-wan")}
    flags = [f"-{name}-port={port}" for name, port in {**ports, "grpc": -1, "grpc-tls": -1}.items()]
    with (folder / "consul.log").open("wb") as log:
        process = subprocess.Popen([consul, *line.split()[1:], *flags], stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{ports['http']}"
        until("Consul leads", _ENOUGH, lambda: _leads(url))
        with simulating(folder, url, "") as made:
            yield made
    finally:
        process.terminate()
        process.wait(timeout=30)


def _leads(url: str) -> bool:
    with contextlib.suppress(OSError):
        return ":" in str(ask(f"{url}/v1/status/leader")[1])
    return False


@contextlib.contextmanager
def simulating(folder: Path, consul: str, token: str) -> Iterator[Night]:
    """The example in `folder`, and its simulator for as long as the context lasts."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    (folder / "home").mkdir()
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / "clustermesos"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m constructs_lib.cli.main "$@"\n')
    program.chmod(0o755)
    made = Night(folder, token)
    command = ["clustermesos", "simulate", "--endpoints=simulator.json", "--port-base=0"]
    with (folder / "simulator.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--speed={SPEED}", f"--consul={consul}"],
            cwd=folder,
            env=made.environ,
            stdout=log,
            stderr=log,
        )
    try:
        ends = time.monotonic() + _ENOUGH
        while not (folder / "simulator.json").exists():
            assert process.poll() is None and time.monotonic() < ends, log.name
            time.sleep(0.05)
        yield made
    finally:
        process.terminate()
        process.wait(timeout=30)


def lived(page: str, night: Night) -> str:
    """The page with what its commands print now."""

    def block(found: re.Match[str]) -> str:
        (commands,) = steps(found[0])
        lines = []
        for step in commands:
            command = night.meant(step.command)
            code, said = night.run(command)
            note = f"  # exit code {code}" if code else ""
            lines.append(f"$ {command}{note}\n{said}")
        return (
            "```console\n" + "".join(line if line.endswith("\n") else line + "\n" for line in lines) + "```"
        )

    return _BLOCK.sub(block, page)
