"""What somebody else has just written wrong keeps nobody from looking; only what changes everything waits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.cli.main import main
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import SimulatedCluster
from constructs_lib.simulator.cluster.agents import from_plan
from constructs_lib.simulator.cluster.timeline import RunningClock
from constructs_lib.spec.load import load
from scripts.progress import ROOT

RIGHT = """\
name: worker
owner: shop@example.org
dev: {command: sleep 3600}
ops: {cpus: 0.1, memory_mib: 32, deploy: {strategy: recreate}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "cluster.yaml").write_text((ROOT / "cluster.yaml").read_text())
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "worker.yaml").write_text(RIGHT)
    (tmp_path / "contracts" / "others.yaml").write_text("name: others\nowner: them@example.org\n")
    with SimulatedCluster(from_plan(plan(load(ROOT / "cluster.yaml"))), clock=RunningClock()) as simulated:
        instances = {program: one.addresses for program, one in simulated.instances.items()}
        (tmp_path / "endpoints.json").write_text(json.dumps({"simulator": True, "instances": instances}))
        monkeypatch.setenv("CLUSTERMESOS_SIMULATOR", str(tmp_path / "endpoints.json"))
        yield tmp_path


def command(folder: Path, *words: str) -> int:
    return main([*words, "--file", str(folder / "cluster.yaml"), "--timeout", "60"])


def test_explain_says_what_it_leaves_out_and_answers(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(folder, "explain", "worker") == 1

    shown = capsys.readouterr()
    assert f"contracts: 1 file is wrong and left out: {folder}/contracts/others.yaml: " in shown.err
    assert "(clustermesos check lists all)" in shown.err
    assert "worker" in shown.out and "others" not in shown.out


def test_the_contract_that_is_meant_has_to_be_right(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(folder, "explain", "others") == 2

    assert "others.yaml: " in capsys.readouterr().err


def test_status_and_backups_tell_of_all_others_and_are_not_good(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(folder, "status") == 1

    said = capsys.readouterr().out
    assert "NOT  contracts" in said and "1 file is wrong and left out: " in said and "worker" in said
    assert command(folder, "backups", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["good"] is False and "others.yaml" in told["left_out"]


@pytest.mark.parametrize("name", ["plan", "apply"])
def test_plan_and_apply_demand_that_all_are_right_and_name_all_that_is_not(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "contracts" / "worker.yaml").write_text(RIGHT.replace("cpus: 0.1", "cpus: 64"))

    assert command(folder, name) == 2

    said = capsys.readouterr().err
    assert "worker.yaml:4: ops: is too large for every agent" in said
    assert "others.yaml: " in said
