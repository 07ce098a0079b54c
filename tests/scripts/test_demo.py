"""The demo deploys to this machine only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from constructs_lib.cli.main import main
from constructs_lib.hooks.simulated import VARIABLE
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import RunningClock, SimulatedCluster
from constructs_lib.simulator.cluster.endpoints_file import endpoints
from constructs_lib.spec.load import load, parse
from constructs_lib.spec.workspace import Workspace
from scripts import demo
from scripts.progress import ROOT, StepError
from tests.scripts.demo_words import not_shown

CLUSTER = (ROOT / "cluster.yaml").read_text()
ENDPOINT = "http://127.0.0.1:5566"


def test_the_newcomers_cluster_goes_to_this_machine() -> None:
    assert demo.embedded_port(load(ROOT / "cluster.yaml")) == 5566


@pytest.mark.parametrize(
    "endpoint",
    [f"      endpoint: {url}\n" for url in ("https://127.0.0.2.example.org:5566", "http://127.0.0.1")] + [""],
)
def test_any_other_place_is_refused(endpoint: str) -> None:
    spec = parse(CLUSTER.replace(f"      endpoint: {ENDPOINT}\n", endpoint))
    with pytest.raises(StepError, match=r"sites\.eu\.aws\.endpoint: got .*expected http://127\.0\.0\.1:PORT"):
        demo.embedded_port(spec)


def test_state_of_a_double_that_has_ended_is_set_aside_not_deleted(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "cluster.yaml")
    workspace.make_private()
    state = workspace.state_folder / "demo-eu.tfstate"
    state.write_text('{"resources": []}')
    demo._set_state_aside(workspace)
    assert state.exists()
    state.write_text('{"resources": [{}]}')
    demo._set_state_aside(workspace)
    assert [file.name for file in workspace.state_folder.iterdir()] == ["demo-eu.tfstate.former-double"]


def test_a_wrong_cluster_file_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "cluster.yaml"
    wrong.write_text(CLUSTER.replace("count: 3, cpus: 2", "count: 2, cpus: 2"))
    monkeypatch.setenv("CLUSTERMESOS_FILE", str(wrong))
    assert demo.main(["deploy"]) == 2
    assert "got 2, expected 1, 3 or 5" in capsys.readouterr().err
    assert demo.main([]) == 2


@pytest.mark.slow
def test_the_demos_applications_are_shown_running_and_every_table_says_simulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "cluster.yaml", tmp_path)
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts")
    monkeypatch.setenv("CLUSTERMESOS_FILE", str(tmp_path / "cluster.yaml"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "simulator.json"))
    with SimulatedCluster.of_plan(plan(load(tmp_path / "cluster.yaml")), clock=RunningClock(60)) as sim:
        (tmp_path / "simulator.json").write_text(json.dumps(endpoints(sim)))
        # The two commands that the demo runs once its stacks are there.
        assert main(["apply"]) == 0
        assert main(["status"]) == 0
    text = capsys.readouterr().out

    assert not_shown(text) == []
    assert len(not_shown(text.replace("SIMULATOR", ""))) == 2, "of each table"
    assert not_shown(text.replace("ok   app shop", "NOT  app shop").replace("3 of 3", "0 of 3"))
