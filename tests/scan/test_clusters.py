"""What the project's own constructs make passes the scan and a plain checkov, for clusters of many shapes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from constructs_lib.cli.main import main
from constructs_lib.scan.checkov import PROGRAM_VARIABLE, find_checkov
from constructs_lib.scan.scan import scan
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from constructs_lib.synth import synthesize
from tests.hybrid.clusters import GOLDEN as SEVERAL_SITES
from tests.scan.cases import CASES

NEWCOMERS = Path(__file__).parents[2] / "cluster.yaml"
PLAIN_HOSTS = SEVERAL_SITES / "plain_hosts" / "cluster.yaml"
CLUSTERS = {
    "cluster": NEWCOMERS,
    "plain_hosts": PLAIN_HOSTS,
    **{file.stem: file for file in sorted((CASES / "clusters").glob("*.yaml"))},
}

pytestmark = pytest.mark.checkov


def _least(cluster: Path) -> int:
    """Checks that pass at least: checkov has hundreds for AWS, five for OpenStack, none for libvirt."""
    return {"openstack": 9, "libvirt": 0}.get(cluster.stem.split("-")[0], 51)


def synthesized(cluster: Path, folder: Path) -> Path:
    """cdktf.out of a copy of `cluster`, made without secrets."""
    shutil.copyfile(cluster, folder / "cluster.yaml")
    return synthesize(
        Workspace(folder / "cluster.yaml"), outdir=folder / "cdktf.out", with_secrets=False
    ).outdir


@pytest.mark.parametrize("cluster", CLUSTERS.values(), ids=CLUSTERS)
def test_every_failed_check_is_accepted_and_every_accepted_one_can_be_skipped(
    tmp_path: Path, real_checkov: dict[str, str], cluster: Path
) -> None:
    report = scan(synthesized(cluster, tmp_path), real_checkov)
    assert len(report.stacks) == len(load(cluster).sites)
    for stack in report.stacks:
        assert [(result.check, result.address) for result in stack.failed] == []
        assert [(stale.exception.check, stale.exception.address, stale.why) for stale in stack.stale] == []
    assert (report.unseen, report.still_failing, report.phantoms) == ((), (), 0)
    assert max(len(stack.passed) for stack in report.stacks) >= _least(cluster)


def test_a_plain_checkov_typed_in_the_projects_folder_has_nothing_failed(
    tmp_path: Path, real_checkov: dict[str, str]
) -> None:
    synthesized(NEWCOMERS, tmp_path)
    (tmp_path / "home").mkdir()
    ran = subprocess.run(
        [find_checkov(real_checkov), "-d", "cdktf.out", "--output", "json", "--compact"],
        cwd=tmp_path,
        env={**real_checkov, "HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    summary = json.loads(ran.stdout)["summary"]
    assert ran.returncode == 0
    assert (summary["failed"], summary["parsing_errors"]) == (0, 0)
    assert summary["passed"] > 50


def test_without_a_folder_cluster_yaml_is_scanned_and_nothing_is_left_behind(
    tmp_path: Path,
    real_checkov: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copyfile(NEWCOMERS, tmp_path / "cluster.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLUSTERMESOS_FILE", raising=False)
    monkeypatch.setenv(PROGRAM_VARIABLE, real_checkov[PROGRAM_VARIABLE])
    assert main(["scan"]) == 0
    assert "demo-eu  (cdktf.out/stacks/demo-eu/cdk.tf.json)" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["cluster.yaml"]
