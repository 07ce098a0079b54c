"""The last stack by the real Terraform: what it runs, when, and what it says when it can't."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.spec.workspace import Workspace
from constructs_lib.synth import synthesize

pytestmark = pytest.mark.terraform
ROOT = Path(__file__).parents[2]
CONTRACT = """\
name: web
owner: shop@example.org
dev: {image: "nginx:1.27", ports: {http: 8080}, health: {path: /healthz}}
ops: {cpus: 0.5, memory_mib: INSTANCES, instances: 2}
"""
DEPLOYED = {"cluster": "demo", "site": "eu", "platform": "aws", "nodes": {}}
OUTPUT = "cross-stack-output-localdeployed"
# A stand-in for the command: it keeps what it was given, and ends as it is told.
COMMAND = """#!/bin/sh
echo "$PWD" "$@" >> "$RECORD"
printf '%s\\n' "$CLUSTERMESOS_OUTPUTS" > "$RECORD.outputs"
echo "the hooks speak"
exit "$(cat "$RECORD.code" 2>/dev/null || echo 0)"
"""


@dataclass
class Folder:
    """A cluster whose site was deployed, as far as its state says."""

    path: Path
    terraform: Path

    @property
    def stack(self) -> Path:
        return self.path / "cdktf.out/stacks/demo-platform"

    @property
    def runs(self) -> list[str]:
        record = self.path / "record"
        return record.read_text().splitlines() if record.exists() else []

    def contract(self, memory: int = 512) -> None:
        (self.path / "contracts").mkdir(exist_ok=True)
        (self.path / "contracts/web.yaml").write_text(CONTRACT.replace("INSTANCES", str(memory)))

    def synthesize(self) -> None:
        synthesize(Workspace(self.path / "cluster.yaml"), outdir=self.path / "cdktf.out")

    def deployed(self, description: dict[str, Any]) -> None:
        """The site's state, with the one output that the last stack reads."""
        value = {"value": json.dumps(description), "type": "string"}
        state = {
            "version": 4,
            "terraform_version": "1.15.0",
            "serial": 1,
            "lineage": "0f0e0d0c-0000-4000-8000-000000000000",
            "outputs": {OUTPUT: value},
            "resources": [],
        }
        (self.path / ".clustermesos/state/demo-eu.tfstate").write_text(json.dumps(state))

    def apply(self, path: str | None = None) -> subprocess.CompletedProcess[str]:
        ours = f"{self.path / 'bin'}:{os.environ['PATH']}"
        environ = {
            **os.environ,
            "PATH": path or ours,
            "RECORD": str(self.path / "record"),
            "TF_IN_AUTOMATION": "1",
        }
        for words in (["init", "-input=false"], ["apply", "-auto-approve", "-no-color", "-input=false"]):
            done = subprocess.run(
                [self.terraform, *words],
                cwd=self.stack,
                env=environ,
                capture_output=True,
                text=True,
                check=False,
            )
        return done


@pytest.fixture
def folder(tmp_path: Path, terraform: Path) -> Folder:
    shutil.copy(ROOT / "cluster.yaml", tmp_path)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/clustermesos"
    command.write_text(COMMAND)
    command.chmod(0o755)
    found = Folder(tmp_path, terraform)
    found.contract()
    found.synthesize()
    found.deployed(DEPLOYED)
    return found


def test_it_runs_apply_in_the_clusters_folder_with_what_was_deployed_and_then_not_again(
    folder: Folder,
) -> None:
    done = folder.apply()

    assert done.returncode == 0, done.stderr
    assert "the hooks speak" in done.stdout
    assert folder.runs == [f"{folder.path} apply --deployed"]
    assert json.loads((folder.path / "record.outputs").read_text()) == {"eu": DEPLOYED}
    assert "0 added, 0 changed, 0 destroyed" in folder.apply().stdout
    assert len(folder.runs) == 1


def test_a_changed_contract_and_a_changed_site_run_it_again_and_a_comment_does_not(folder: Folder) -> None:
    folder.apply()
    folder.contract(1024)
    folder.synthesize()
    folder.apply()
    assert len(folder.runs) == 2

    file = folder.path / "contracts/web.yaml"
    file.write_text("# a comment\n" + file.read_text())
    folder.synthesize()
    folder.apply()
    assert len(folder.runs) == 2

    folder.deployed({**DEPLOYED, "platform": "openstack"})
    folder.apply()
    assert len(folder.runs) == 3


def test_a_run_that_failed_is_tried_again_by_the_next_deploy(folder: Folder) -> None:
    (folder.path / "record.code").write_text("1")
    assert folder.apply().returncode != 0
    (folder.path / "record.code").write_text("0")

    assert folder.apply().returncode == 0
    assert len(folder.runs) == 2


def test_a_command_that_is_not_there_is_one_clear_line(folder: Folder) -> None:
    (folder.path / "bin/clustermesos").unlink()
    tools = ":".join(part for part in ("/usr/bin", "/bin") if not (Path(part) / "clustermesos").exists())
    done = folder.apply(path=tools)

    assert done.returncode != 0
    assert "clustermesos: not on PATH, so the applications were not touched" in done.stdout + done.stderr


def test_without_contracts_there_is_no_last_stack(folder: Folder) -> None:
    shutil.rmtree(folder.path / "contracts")
    synthesis = synthesize(Workspace(folder.path / "cluster.yaml"), outdir=folder.path / "other.out")

    assert synthesis.last is None
    assert not (folder.path / "other.out/stacks/demo-platform").exists()


def test_no_path_of_this_machine_and_no_secret_is_in_it(folder: Folder) -> None:
    text = (folder.stack / "cdk.tf.json").read_text()
    secrets = json.loads((folder.path / ".clustermesos/secrets.json").read_text())["secrets"]

    assert str(folder.path) not in text
    assert not any(value in text for value in secrets.values())
