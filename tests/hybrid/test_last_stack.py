"""The stack that runs the hooks is deployed when every site of the cluster is."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from constructs_lib.spec.workspace import Workspace
from constructs_lib.synth import synthesize
from tests.hybrid.clusters import CASES, GOLDEN, Json, cluster_plan

CONTRACT = """\
name: web
owner: shop@example.org
dev: {image: "nginx:1.27", ports: {http: 8080}, health: {path: /healthz}}
ops: {cpus: 0.5, memory_mib: 512, instances: 1}
"""
LAST = "demo-platform"


@cache
def with_a_contract(case: str) -> tuple[Json, Json]:
    """The engine's manifest, and the last stack."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copyfile(GOLDEN / case / "cluster.yaml", folder / "cluster.yaml")
        (folder / "contracts").mkdir()
        (folder / "contracts/web.yaml").write_text(CONTRACT, encoding="utf-8")
        workspace = Workspace(folder / "cluster.yaml")
        done = synthesize(workspace, outdir=folder / "cdktf.out", with_secrets=False)
        assert done.last == LAST
        manifest = json.loads((done.outdir / "manifest.json").read_text(encoding="utf-8"))
        stack = json.loads((done.outdir / "stacks" / LAST / "cdk.tf.json").read_text(encoding="utf-8"))
        return manifest, stack


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_last_stack_waits_for_every_site_and_no_site_waits_for_it(case: str) -> None:
    manifest, _ = with_a_contract(case)

    waits = {name: set(stack["dependencies"]) for name, stack in manifest["stacks"].items()}

    sites = {f"demo-{site}" for site in cluster_plan(case).sites}
    assert len(sites) > 1
    assert waits.keys() == sites | {LAST}
    assert waits[LAST] == sites
    assert not [name for name in sites if LAST in waits[name]]


@pytest.mark.parametrize("case", CASES)
def test_the_hooks_get_what_each_site_says_it_deployed_out_of_that_sites_own_state(case: str) -> None:
    _, stack = with_a_contract(case)

    states = stack["data"]["terraform_remote_state"]
    ((_, hooks),) = stack["resource"]["terraform_data"].items()
    given = hooks["provisioner"][0]["local-exec"]["environment"]["CLUSTERMESOS_OUTPUTS"]
    described = dict(re.findall(r'"(\w+)" = jsondecode\(local\.(\w+)\)', given))

    assert described.keys() == set(cluster_plan(case).sites)
    for site, local in described.items():
        (name,) = re.findall(r"data\.terraform_remote_state\.([\w-]+)\.outputs", stack["locals"][local])
        assert Path(states[name]["config"]["path"]).name == f"demo-{site}.tfstate"


@pytest.mark.slow
def test_a_second_synth_with_the_lock_that_the_first_wrote_gives_no_cause_to_run_the_hooks_again(
    tmp_path: Path,
) -> None:
    shutil.copyfile(GOLDEN / "hybrid" / "cluster.yaml", tmp_path / "cluster.yaml")
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts/web.yaml").write_text(CONTRACT, encoding="utf-8")
    workspace = Workspace(tmp_path / "cluster.yaml")

    def cause() -> Json:
        done = synthesize(workspace, outdir=tmp_path / "cdktf.out")
        stack = json.loads((done.outdir / "stacks" / LAST / "cdk.tf.json").read_text(encoding="utf-8"))
        ((_, hooks),) = stack["resource"]["terraform_data"].items()
        triggers: Json = hooks["triggers_replace"]
        return triggers

    first = cause()
    assert workspace.lock_file.exists()
    assert cause() == first
    (tmp_path / "contracts/web.yaml").write_text(CONTRACT.replace("1.27", "1.28"), encoding="utf-8")
    assert cause() != first
