"""A cluster.yaml that is synthesized and applied for real, again and again, against an AWS API double."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from constructs_lib.roll.terraform_cli import Terraform

ROOT = Path(__file__).parents[2]


@dataclass
class Cluster:
    """One workspace folder; `settings` is what its cluster.yaml says."""

    folder: Path
    settings: dict[str, Any]
    environ: dict[str, str]
    site_name: str = "eu"
    """The site whose stack is planned and applied."""
    first_plan_shown: str = field(default="")
    """What `terraform show` prints of the first plan that was applied."""

    @property
    def site(self) -> dict[str, Any]:
        """The settings of the site, to be changed in place."""
        site: dict[str, Any] = self.settings["sites"][self.site_name]
        return site

    @property
    def stack(self) -> Path:
        return self.folder / "cdktf.out" / "stacks" / f"demo-{self.site_name}"

    @property
    def terraform(self) -> Terraform:
        return Terraform(folder=self.stack, environ=self.environ)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the clustermesos command in the workspace."""
        return subprocess.run(
            [sys.executable, "-m", "constructs_lib.cli.main", *arguments],
            cwd=self.folder,
            env=self.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    def synth(self) -> None:
        (self.folder / "cluster.yaml").write_text(yaml.safe_dump(self.settings, sort_keys=False))
        done = self.command("synth")
        assert done.returncode == 0, done.stdout + done.stderr

    def plan(self) -> dict[str, Any]:
        """Synthesize and plan; Terraform's own JSON of the plan."""
        self.synth()
        terraform = self.terraform
        if not terraform.initialized:
            terraform.init()
        return terraform.plan(self.folder / "plan.bin")

    def apply(self) -> dict[str, Any]:
        """Synthesize, plan and apply; returns the plan that was applied."""
        plan = self.plan()
        self.first_plan_shown = self.first_plan_shown or self._show_plan()
        self.terraform.apply(self.folder / "plan.bin")
        return plan

    def _show_plan(self) -> str:
        shown = subprocess.run(
            ["terraform", "show", "-no-color", str(self.folder / "plan.bin")],
            cwd=self.stack,
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return shown.stdout

    def destroy(self) -> None:
        done = subprocess.run(
            ["terraform", "destroy", "-auto-approve", "-input=false", "-no-color"],
            cwd=self.stack,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr


def settings_for(endpoint: str) -> dict[str, Any]:
    """The repository's own cluster.yaml, at another endpoint, and without what only its contracts need."""
    settings: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    settings = copy.deepcopy(settings)
    settings["sites"]["eu"]["aws"]["endpoint"] = endpoint
    del settings["app_secrets"], settings["backups"], settings["sites"]["eu"]["agents"]["data"]
    return settings


def changes(plan: dict[str, Any]) -> dict[str, list[str]]:
    """Address → actions, for every resource that the plan would touch."""
    return {
        change["address"]: change["change"]["actions"]
        for change in plan.get("resource_changes", [])
        if change["change"]["actions"] not in (["no-op"], ["read"])
    }


def changed_attributes(plan: dict[str, Any]) -> set[tuple[str, str]]:
    """(address, attribute) for every attribute that an update in the plan would change."""
    found = set()
    for change in plan.get("resource_changes", []):
        if "update" not in change["change"]["actions"]:
            continue
        before, after = change["change"]["before"], change["change"]["after"]
        unknown = change["change"]["after_unknown"]
        names = {name for name in {*before, *after} if before.get(name) != after.get(name)} | {
            name for name, value in unknown.items() if value is True
        }
        found |= {(change["address"], name) for name in names}
    return found


def environment(base: dict[str, str]) -> dict[str, str]:
    """`base` without what would lead the command to another cluster."""
    return {name: value for name, value in base.items() if not name.startswith(("CLUSTERMESOS", "CDKTF"))} | {
        "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", "")
    }


def known_differences() -> dict[tuple[str, str], str]:
    """(address, attribute) → cause, of what the double makes a second plan show."""
    listed = json.loads(Path(__file__).with_name("known_differences.json").read_text())
    return {(entry["address"], entry["attribute"]): entry["cause"] for entry in listed}
