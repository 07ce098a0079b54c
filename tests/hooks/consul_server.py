"""A real Consul server on loopback, its access lists on, for as long as a test module lasts."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.embedded_aws import free_port

TOKEN = "7f9a1c7e-0000-4000-8000-000000000001"
_ENOUGH = 60.0


@dataclass(frozen=True)
class ConsulServer:
    """Where it answers, and its management token."""

    port: int
    token: str = TOKEN
    datacenter: str = "eu"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def consul_server(program: Path, folder: Path) -> Iterator[ConsulServer]:
    ports = {name: free_port() for name in ("http", "dns", "server", "serf_lan")}
    settings = {
        "server": True,
        "bootstrap_expect": 1,
        "datacenter": "eu",
        "node_name": "consul-1",
        "data_dir": str(folder / "data"),
        "bind_addr": "127.0.0.1",
        "ports": {**ports, "serf_wan": -1, "grpc": -1, "grpc_tls": -1},
        "performance": {"raft_multiplier": 1},
        # As on nodes: an agent without a token of its own can't take a service out of the catalog again.
        "acl": {
            "enabled": True,
            "default_policy": "deny",
            "tokens": {"initial_management": TOKEN, "agent": TOKEN},
        },
        "log_level": "warn",
    }
    (folder / "consul.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "agent", "-config-file", folder / "consul.json"], stdout=log)
    try:
        server = ConsulServer(ports["http"])
        _wait(server, process, folder / "log")
        yield server
    finally:
        process.terminate()
        process.wait()


def _wait(server: ConsulServer, process: subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + _ENOUGH
    while time.monotonic() < ends:
        assert process.poll() is None, log.read_text()
        request = urllib.request.Request(f"{server.url}/v1/acl/token/self", headers={"X-Consul-Token": TOKEN})
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())
