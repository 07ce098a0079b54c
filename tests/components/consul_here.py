"""Real Consul agents on this machine, from planned nodes' files; only addresses and folders are rewritten."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from constructs_lib.components.consul import AUTHORITY
from constructs_lib.components.model import Role
from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import PlannedSecret
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.values import new_secret
from constructs_lib.spec.model import ClusterSpec
from scripts.embedded_aws import free_port
from tests.nodes.clusters import WHOLE

CLUSTER = plan(ClusterSpec.model_validate(WHOLE))
PLANNED = CLUSTER.site("eu")
SERVER = render(PLANNED, PLANNED.nodes_of(Role.CONSUL)[0])
CLIENT = render(PLANNED, PLANNED.pools[0])

PLACES = ("/etc/consul.d", "/etc/consul/secrets", "/run/consul", "/srv/data", "/var/lib/prometheus")
LONGEST = 180
"""Seconds."""
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def values(secrets: tuple[PlannedSecret, ...]) -> dict[str, str]:
    """A fresh value for each, authorities first."""
    made: dict[str, str] = {}
    for secret in sorted(secrets, key=lambda secret: secret.declared.signed_by is not None):
        made[secret.name] = new_secret(secret, made)
    assert AUTHORITY in made
    return made


class Agent:
    """One agent below `folder`, as `files` says; its secrets lie where the node would have them."""

    def __init__(self, consul: Path, folder: Path, files: NodeFiles, secrets: dict[str, str]) -> None:
        self.consul, self.folder, self.files = consul, folder, files
        self.ports = {name: free_port() for name in ("dns", "http", "serf_lan", "server")}
        self.process: subprocess.Popen[bytes] | None = None
        for secret in files.secrets:
            path = self.at(secret.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(secrets[secret.name])
        for place in ("/etc/consul.d", "/run/consul"):
            self.at(place).mkdir(parents=True, exist_ok=True)

    def at(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def configure(self, *join: int) -> None:
        """Write both files that the unit names; `join` are gossip ports of agents to join."""
        settings: dict[str, Any] = json.loads(self.files.file("/etc/consul.d/consul.json").content)
        settings["bind_addr"] = "127.0.0.1"
        settings["retry_join"] = [f"127.0.0.1:{port}" for port in join]
        settings["ports"] |= self.ports
        settings["data_dir"] = str(self.at(settings["data_dir"]))
        settings["node_name"] = self.files.name
        for key in settings["tls"]["defaults"].keys() & {"ca_file", "cert_file", "key_file"}:
            settings["tls"]["defaults"][key] = str(self.at(settings["tls"]["defaults"][key]))
        Path(settings["data_dir"]).mkdir(parents=True, exist_ok=True)
        self.at("/etc/consul.d/consul.json").write_text(json.dumps(settings))
        self.run_script("/usr/local/libexec/consul-config", check=True)

    def run_script(self, path: str, *, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a rendered shell script below the folder; chown is a double: nobody called consul is here."""
        return self.run_text(self.files.file(path).content, check=check)

    def run_text(self, text: str, *, said: str = "", check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a node's commands below the folder, as root's bash would; `said` is typed in."""
        for place in PLACES:
            text = text.replace(place, str(self.at(place)))
        doubles = self.folder / "doubles"
        doubles.mkdir(exist_ok=True)
        (doubles / "chown").write_text("#!/bin/sh\n")
        (doubles / "chown").chmod(0o755)
        (doubles / "consul").unlink(missing_ok=True)
        (doubles / "consul").symlink_to(self.consul)
        environment = os.environ | {
            "PATH": f"{doubles}:{os.environ['PATH']}",
            "CONSUL_HTTP_ADDR": f"http://127.0.0.1:{self.ports['http']}",
            "NO_PROXY": "127.0.0.1",
        }
        text = text.replace("127.0.0.1:8500", f"127.0.0.1:{self.ports['http']}")
        return subprocess.run(
            ["bash", "-c", text],
            input=said,
            capture_output=True,
            text=True,
            check=check,
            env=environment,
            timeout=LONGEST,
        )

    def config_files(self) -> list[str]:
        names = ("/etc/consul.d/consul.json", "/run/consul/secrets.json")
        return [f"-config-file={self.at(name)}" for name in names]

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.consul, "agent", *self.config_files()], stdout=log, stderr=log, cwd=self.folder
            )

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=60)
        self.process = None

    def ask(
        self, path: str, token: str = "", method: str = "GET", body: bytes | None = None
    ) -> tuple[int, str]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['http']}/v1/{path}", body, method=method
        )
        request.add_header("X-Consul-Token", token)
        try:
            with OPENER.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def secret(self, name: str) -> str:
        return self.at(f"/etc/consul/secrets/{name}").read_text()

    def acl(self, word: int | str = 120) -> subprocess.CompletedProcess[str]:
        """Run the node's own consul-acl."""
        script = self.folder / "consul-acl"
        script.write_text(shipped("consul-acl", self.files.file("/usr/local/libexec/consul-acl").content))
        places = {
            "CONSUL_HTTP_ADDR": f"http://127.0.0.1:{self.ports['http']}",
            "SECRETS": str(self.at("/etc/consul/secrets")),
        }
        command = [sys.executable, str(script), str(word)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST,
            env=os.environ | places,
        )

    def wait(self, what: str, happened: Callable[[], bool]) -> None:
        """Ask until it is so; no answer, or half of one, is none."""
        end = time.monotonic() + LONGEST
        while True:
            try:
                if happened():
                    return
                last = "no"
            except (OSError, LookupError, ValueError, struct.error) as error:
                last = f"{type(error).__name__}: {error}"
            log = (self.folder / "log").read_text()[-2500:]
            assert time.monotonic() < end, (
                f"{self.files.name}: waited {LONGEST} s for {what}; seen last: {last}\n{log}"
            )
            time.sleep(0.05)

    def has_leader(self) -> bool:
        return f":{self.ports['server']}" in self.ask("status/leader")[1]


def client_of(consul: Path, server: Agent, folder: Path, **other: str) -> Agent:
    """A client with the server's secrets, but for those in `other`."""
    theirs = {s.name: server.at(s.path).read_text() for s in SERVER.secrets}
    secrets = values(CLUSTER.secrets) | theirs | other
    agent = Agent(consul, folder, CLIENT, secrets)
    agent.configure(server.ports["serf_lan"])
    return agent
