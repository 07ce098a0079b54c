"""A Mesos agent's files, and a machine whose sizes a test can change, for its program to run on."""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import NODE_ADDRESS, render
from tests.components.on_node import Root
from tests.components.test_flags import mesos_flags, sourced
from tests.nodes.clusters import site

ADDRESS = "10.20.96.7"
PROGRAM = "/usr/local/libexec/mesos-agent-config"


def agent(case: str = "whole") -> NodeFiles:
    planned = site(case)
    return render(planned, planned.pools[0])


def flags() -> dict[str, str]:
    return mesos_flags(agent().file("/etc/default/mesos-agent").content.replace(NODE_ADDRESS, ADDRESS))


def unit() -> str:
    return agent().file("/etc/systemd/system/mesos-agent.service").content


class Node:
    """A machine with 16 GiB, 4 CPUs and 100 GiB, whose sizes and boot a test can change."""

    def __init__(self, folder: Path, leader: int) -> None:
        self.root = Root(folder)
        self.given = json.loads(agent().file("/etc/mesos/agent.json").content.replace(NODE_ADDRESS, ADDRESS))
        # What answers anything but a connection error is a master that is up: a double of one.
        self.given["masters"] = [f"127.0.0.1:{leader}"]
        self.cpus, self.memory, self.disk, self.boot = 4, 16384, 102400, "boot-1"
        self.docker("1.51")
        for who in ("agent", "operator"):
            self.root.put(f"/etc/mesos/secrets/{who}", f'{who}-"secret')
        for path in ("/run/mesos-agent", "/var/lib/mesos/meta/slaves/S1"):
            self.root.at(path).mkdir(parents=True)
        self.latest = self.root.at("/var/lib/mesos/meta/slaves/latest")
        self.register()

    def register(self) -> None:
        """As the agent does at its first start."""
        self.latest.symlink_to("S1")

    def docker(self, version: str) -> None:
        self.root.double("docker", f"echo {version}")

    def configure(self, *arguments: str) -> tuple[int, str]:
        self.root.put("/etc/mesos/agent.json", json.dumps(self.given))
        self.root.put("/proc/sys/kernel/random/boot_id", self.boot)
        script = agent().file(PROGRAM).content
        done = self.root.run(
            script,
            *arguments,
            replaced={
                'os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")': f"{self.memory} << 20",
                "os.cpu_count()": str(self.cpus),
                "shutil.disk_usage(WORK).total": f"{self.disk} << 20",
            },
        )
        return done.returncode, (done.stdout + done.stderr).strip()

    def read(self, name: str) -> str:
        return self.root.at(f"/run/mesos-agent/{name}").read_text()

    def environ(self) -> dict[str, str]:
        """What the agent's unit starts it with, once the program ran."""
        text = agent().file("/etc/default/mesos-agent").content.replace(NODE_ADDRESS, ADDRESS)
        here = re.sub("(/run/|/var/)", rf"{self.root.folder}\1", text)
        computed = dict(line.split("=", 1) for line in self.read("docker.env").splitlines())
        return sourced(here) | computed


class Master(BaseHTTPRequestHandler):
    """A leading master, as far as an agent asks before its first start."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"master/elected": 1.0}' if self.path == "/metrics/snapshot" else b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""
