"""An edge on this machine, from a planned edge's files: nginx, edge-state and consul-template, all real.

Only ports and folders are rewritten.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from constructs_lib.components.model import Role
from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import SitePlan
from scripts.embedded_aws import free_port
from tests.conftest import need, tool
from tests.nodes.clusters import site

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
LONGEST = 120
"""Seconds."""


class Edge:
    """Its files lie below `folder`; `consul` is the address that consul-template asks."""

    def __init__(
        self, folder: Path, consul: str = "", token: str = "", planned: SitePlan | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.http, self.health, self.serial, self.state = (free_port() for _ in range(4))
        planned = planned or site("whole")
        self.files = render(planned, planned.nodes_of(Role.EDGE)[0])
        self.conf = folder / "nginx.conf"
        self.conf.write_text(
            self.rewritten(
                "/etc/nginx/nginx.conf",
                ("user www-data;", "user root;" if os.geteuid() == 0 else ""),
                ("worker_processes auto;", "worker_processes 2;"),
                ("listen 80 ", f"listen 127.0.0.1:{self.http} "),
                ("listen 8088;", f"listen 127.0.0.1:{self.health};"),
                ("/run/nginx.pid", f"{folder}/nginx.pid"),
                ("/var/log/nginx", str(folder)),
                ("/etc/nginx/conf.d", f"{folder}/conf.d"),
                ("/var/lib/edge", f"{folder}/lib"),
            )
        )
        for name in ("edge-config", "edge-state"):
            script = self.files.file(f"/usr/local/libexec/{name}").content
            (folder / name).write_text(shipped(name, script))
            (folder / name).chmod(0o755)
        (folder / "run").mkdir(exist_ok=True)
        (folder / "token").write_text(token)
        self.template(consul)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **os.environ,
            "PATH": f"{need('nginx').parent}:{os.environ['PATH']}",
            "RUN": f"{folder}/run",
            "STATE": f"{folder}/lib",
            "CONF": str(self.conf),
            "LOG": f"{folder}/access.log",
            "PID": f"{folder}/nginx.pid",
        }

    def rewritten(self, path: str, *pairs: tuple[str, str]) -> str:
        text = self.files.file(path).content
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new)
        return text

    def template(self, consul: str) -> None:
        (self.folder / "routes.ctmpl").write_text(self.rewritten("/etc/consul-template/routes.ctmpl"))
        text = self.rewritten(
            "/etc/consul-template/consul-template.json",
            ("127.0.0.1:8500", consul),
            ("/etc/consul-template/", f"{self.folder}/"),
            ("/run/edge", f"{self.folder}/run"),
            ("/usr/local/libexec/edge-config", f"{self.folder}/edge-config"),
            ('"80", "8086"', f'"127.0.0.1:{self.http}", "{self.serial}"'),
        )
        assert json.loads(text)["template"]
        (self.folder / "consul-template.json").write_text(text)

    def command(self, *arguments: str) -> list[str]:
        log = str(self.folder / "start.log")
        return [str(need("nginx")), "-e", log, "-p", str(self.folder), "-c", str(self.conf), *arguments]

    def start(self) -> None:
        """nginx and edge-state, both answering."""
        self.run("nginx", *self.command("-g", "daemon off;"))
        self.start_state()
        self.wait("nginx", lambda: self.get(self.health, "/healthz")[0] == 200)

    def start_state(self) -> None:
        """edge-state alone."""
        ports = (str(self.state), str(self.serial))
        self.run("edge-state", sys.executable, str(self.folder / "edge-state"), *ports)
        self.wait("edge-state", lambda: self.get(self.state, "/state")[0] == 200)

    def start_template(self) -> None:
        config = f"-config={self.folder}/consul-template.json"
        self.run("consul-template", str(tool("consul-template")), config)

    def run(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment, start_new_session=True
            )

    def dies(self) -> None:
        """All at once, as a machine does; nginx' workers would outlive their master."""
        for process in self.processes.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)
        self.processes.clear()

    def stop(self) -> None:
        for name, process in self.processes.items():
            # As its unit does: it takes no notice of SIGTERM.
            process.send_signal(signal.SIGINT if name == "consul-template" else signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=30)
        self.processes.clear()

    def apply(self, *routes: dict[str, Any], settled: bool = True) -> subprocess.CompletedProcess[str]:
        """What consul-template does once it has found these routes."""
        (self.folder / "run/wanted.json").write_text(json.dumps({"routes": routes}))
        script, http = str(self.folder / "edge-config"), f"127.0.0.1:{self.http}"
        done = subprocess.run(
            [sys.executable, script, http, str(self.serial)],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST,
        )
        # nginx starts new workers 0.1 s before it tells the old ones to take nothing new.
        if settled:
            loads = json.loads((self.folder / "run/loads.json").read_text())["loads"]
            last = (loads[-1]["serial"], 0)
            self.wait(
                "the end of older workers", lambda: (self.says()["serial"], self.says()["older"]) == last
            )
        return done

    def get(self, port: int, path: str, host: str = "", method: str = "GET") -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
        if host:
            request.add_header("Host", host)
        try:
            with OPENER.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def says(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.get(self.state, "/state")[1])
        return told

    def wait(self, what: str, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + LONGEST
        while not happened():
            logs = {log.name: log.read_text()[-1500:] for log in sorted(self.folder.glob("*.log"))}
            assert time.monotonic() < end, f"waited {LONGEST} s for {what}: {logs}"
            time.sleep(0.05)


def route(name: str, generation: int, weights: dict[str, int], instances: Any = (), **other: Any) -> Any:
    """A route as consul-template renders it; instances are (id, version, port)."""
    document = {
        "contract": name,
        "service": name,
        "host": f"{name}.example.org",
        "path": "/",
        "generation": generation,
        "weights": weights,
        "drain": [],
        **other,
    }
    each = [
        {"id": id, "address": "127.0.0.1", "port": port, "tags": [f"version={version}"]}
        for id, version, port in instances
    ]
    return {"name": name, "document": json.dumps(document), "instances": each}
