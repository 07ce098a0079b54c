"""What a Consul node does with contracts: consul-template, prometheus-contracts and Prometheus, all real.

Only ports and folders are rewritten; systemctl is a double that has Prometheus read its files again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from constructs_lib.contracts.compiled import LABEL
from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.model import NodeFiles
from scripts.embedded_aws import free_port
from tests.components.consul_here import LONGEST, OPENER, SERVER
from tests.conftest import need, tool


class Contracts:
    """Everything lies below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rules = folder / "contracts" / "rules"
        self.targets = folder / "contracts" / "targets"
        self.metrics = folder / "metrics" / "contracts.prom"
        self.reloads = folder / "reloads"
        self.port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "bin").mkdir()
        (folder / "run").mkdir()
        script = SERVER.file("/usr/local/libexec/prometheus-contracts").content
        (folder / "prometheus-contracts").write_text(shipped("prometheus-contracts", script))
        (folder / "prometheus-contracts").chmod(0o755)
        self.systemctl()
        self.environment = {
            **os.environ,
            "PATH": f"{folder}/bin:{need('promtool').parent}:{os.environ['PATH']}",
            "RUN": f"{folder}/run",
            "PLACE": f"{folder}/contracts",
            "METRICS": f"{folder}/metrics",
        }

    def systemctl(self, more: str = "") -> None:
        """What stands for it; it notes that it was called."""
        double = self.folder / "bin" / "systemctl"
        hang_up = f"[ ! -f {self.folder}/pid ] || kill -HUP $(cat {self.folder}/pid)"
        double.write_text(f'#!/bin/sh\necho "$@" >>{self.reloads}\n{more}\n{hang_up}\n')
        double.chmod(0o755)

    def told(self) -> list[str]:
        """How systemctl was called, call by call."""
        return self.reloads.read_text().splitlines() if self.reloads.exists() else []

    def apply(
        self, rules: dict[str, Any], targets: list[dict[str, Any]] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """What consul-template does once it has found these; values that are no text become JSON."""
        documents = [
            {"name": name, "document": value if isinstance(value, str) else json.dumps(value)}
            for name, value in rules.items()
        ]
        wanted = {"rules": documents, "targets": targets or []}
        (self.folder / "run/wanted.json").write_text(json.dumps(wanted))
        return subprocess.run(
            [sys.executable, str(self.folder / "prometheus-contracts")],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST,
        )

    def start_template(self, consul: str, token: str) -> None:
        (self.folder / "token").write_text(token)
        (self.folder / "contracts.ctmpl").write_text(
            SERVER.file("/etc/consul-template/contracts.ctmpl").content
        )
        text = SERVER.file("/etc/consul-template/consul-template.json").content
        for old, new in (
            ("127.0.0.1:8500", consul),
            ("/etc/consul-template/", f"{self.folder}/"),
            ("/run/contracts", f"{self.folder}/run"),
            ("/usr/local/libexec/prometheus-contracts", f"{self.folder}/prometheus-contracts"),
        ):
            assert old in text, old
            text = text.replace(old, new)
        (self.folder / "consul-template.json").write_text(text)
        self._run(
            "consul-template", str(tool("consul-template")), f"-config={self.folder}/consul-template.json"
        )

    def start_prometheus(self, files: NodeFiles = SERVER, reads: Mapping[str, str] | None = None) -> None:
        """With the node's own file, every second.

        `reads` is what it reads besides contracts' targets: the plan's `address:port` → what is here for it.
        Without it the file's jobs stay as they are.
        """
        text = files.file("/etc/prometheus/prometheus.yml").content
        assert "scrape_interval: 30s" in text
        text = text.replace("scrape_interval: 30s", "scrape_interval: 1s, evaluation_interval: 1s")
        text = text.replace("/etc/prometheus/contracts", str(self.folder / "contracts"))
        text = text.replace("/etc/prometheus/platform.yml", str(self.folder / "platform.yml"))
        config = yaml.safe_load(text)
        if reads is not None:
            config["scrape_configs"] = list(_only(config["scrape_configs"], reads))
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = (
            str(need("prometheus")),
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        )
        self._start_prometheus(command)
        self.wait("prometheus", lambda: self._prometheus_answers(command))

    def _start_prometheus(self, command: Sequence[str]) -> None:
        self._run("prometheus", *command)
        (self.folder / "pid").write_text(str(self.processes["prometheus"].pid))

    def _prometheus_answers(self, command: Sequence[str]) -> bool:
        """Whether it does; where it ended it is started again, as its unit's Restart=always has systemd do.

        Told to read its files within its first tenth of a second, before it handles SIGHUP, it ends by that.
        """
        if self.processes["prometheus"].poll() is not None:
            self._start_prometheus(command)
        return self.ask("status/config") != {}

    def _run(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, stdout=log, stderr=log, env=self.environment, cwd=self.folder
            )

    def stop(self) -> None:
        for name, process in self.processes.items():
            # As its unit does: consul-template takes no notice of SIGTERM.
            process.send_signal(2 if name == "consul-template" else 15)
        for process in self.processes.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=30)

    def ask(self, path: str, **query: str) -> dict[str, Any]:
        """The data of an answer of Prometheus; empty while there is none."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(query)}"
        try:
            with OPENER.open(urllib.request.Request(url), timeout=10) as answer:
                found: dict[str, Any] = json.load(answer)["data"]
                return found
        except (OSError, HTTPException, LookupError, ValueError):
            return {}

    def alerts(self) -> dict[str, list[str]]:
        """Contract → the names of its alerts that Prometheus runs with."""
        found = self._by_file()
        found.pop(LABEL, None)
        return found

    def platforms_alerts(self) -> list[str]:
        """The names of the platform's own alerts that it runs with."""
        return self._by_file().get(LABEL, [])

    def _by_file(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for group in self.ask("rules").get("groups", []):
            found.setdefault(Path(group["file"]).stem, []).extend(rule["name"] for rule in group["rules"])
        return found

    def scraped(self) -> list[str] | None:
        """What it reads for contracts; None while it doesn't say."""
        found = self.ask("targets").get("activeTargets")
        if found is None:
            return None
        return [one["scrapeUrl"] for one in found if one["scrapePool"] == "contracts"]

    def wait(self, what: str, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + LONGEST
        while not happened():
            logs = {log.name: log.read_text()[-1500:] for log in sorted(self.folder.glob("*.log"))}
            assert time.monotonic() < end, f"waited {LONGEST} s for {what}: {logs}"
            time.sleep(0.1)


def _only(jobs: Sequence[dict[str, Any]], reads: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for job in jobs:
        found = [target for group in job.get("static_configs", ()) for target in group["targets"]]
        if job["job_name"] == "contracts":
            yield job
        elif found and reads.keys() >= set(found):
            yield {**job, "static_configs": [{"targets": [reads[one] for one in found]}]}
