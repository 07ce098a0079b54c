"""Whole deploy beside plain Terraform: both put the demo's cluster into an empty AWS API double."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from bench.measure import Measured, measure
from bench.rounds import Results
from scripts import cdktf
from scripts.embedded_aws import HOST, EmbeddedAws, free_port
from scripts.progress import ROOT
from scripts.tools import TOOLS

DEPLOY, APPLY, INIT = "cdktf deploy", "terraform apply", "terraform init"
_STACK = "demo-eu"
_CDKTF_OPTIONS = ("--auto-approve", "--no-color", "--skip-provider-lock", "--disable-plugin-cache-env")


@dataclass
class Deploys:
    """One workspace in which the demo's cluster is deployed again and again, each time from nothing.

    Attributes:
        folder: holds cluster.yaml, cdktf.json and everything that is written.
        results: the runs so far: `cdktf deploy` as `make demo` calls it (synth, init, plan and apply), and
            `terraform init` and `terraform apply` alone on the file that the deploy has written.
    """

    folder: Path
    results: Results = field(default_factory=lambda: Results({DEPLOY: [], APPLY: [], INIT: []}))

    def play(self, rounds: int) -> Results:
        """Deploy, init and apply `rounds` times; StepError when one fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self._write_workspace(port)
        for _ in range(rounds):
            self._deploy(port)
            self._apply(port)
        return self.results

    def _deploy(self, port: int) -> None:
        for left in ("cdktf.out", ".clustermesos/state"):
            shutil.rmtree(self.folder / left, ignore_errors=True)
        self._timed(DEPLOY, port, (TOOLS / "bin" / "cdktf", "deploy", "*", *_CDKTF_OPTIONS), self.folder)

    def _apply(self, port: int) -> None:
        """In a copy of the stack's folder at the same depth: relative paths then mean a state of its own."""
        folder = self.folder / "plain" / "cdktf.out" / "stacks" / _STACK
        shutil.rmtree(self.folder / "plain", ignore_errors=True)
        folder.mkdir(parents=True)
        source = self.folder / "cdktf.out" / "stacks" / _STACK
        for name in ("cdk.tf.json", "secrets.auto.tfvars.json"):
            shutil.copy(source / name, folder)
        terraform = TOOLS / "bin" / "terraform"
        self.results.runs[INIT].append(
            self._run(INIT, (terraform, "init", "-no-color", "-input=false"), folder)
        )
        self._timed(APPLY, port, (terraform, "apply", "-no-color", "-input=false", "-auto-approve"), folder)

    def _timed(self, what: str, port: int, command: tuple[str | Path, ...], cwd: Path) -> None:
        double = EmbeddedAws(self.folder / "embedded-aws")
        double.start(port)
        try:
            self.results.runs[what].append(self._run(what, command, cwd))
        finally:
            double.stop()

    def _run(self, what: str, command: tuple[str | Path, ...], cwd: Path) -> Measured:
        log = self.folder / "logs" / f"{what.replace(' ', '-')}.log"
        env = {
            **cdktf.environment(),
            "PYTHONPATH": str(ROOT),
            "CLUSTERMESOS_FILE": str(self.folder / "cluster.yaml"),
        }
        return measure(command, log=log, env=env, cwd=cwd)

    def _write_workspace(self, port: int) -> None:
        cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
        for site in cluster["sites"].values():
            site["aws"]["endpoint"] = f"http://{HOST}:{port}"
        (self.folder / "cluster.yaml").write_text(yaml.safe_dump(cluster, sort_keys=False))
        settings = json.loads((ROOT / "cdktf.json").read_text())
        python = os.path.relpath(sys.executable, self.folder)
        (self.folder / "cdktf.json").write_text(json.dumps({**settings, "app": f"{python} -m stacks"}))
