"""plan, apply, status and explain from the command line, against a simulator that a file names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.cli.main import main
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import Fault, RunningClock, SimulatedCluster
from constructs_lib.simulator.cluster.endpoints_file import endpoints
from constructs_lib.spec.load import load
from scripts.embedded_aws import free_port
from tests.lab.asking import until

ROOT = Path(__file__).parents[2]
CONTRACT = """\
name: NAME
owner: shop@example.org
dev: {image: "registry.example.org/NAME:1.4.2", ports: {http: 8080}, health: {path: /healthz}MORE}
ops: {cpus: CPUS, memory_mib: 256, instances: 2, pools: [general], deploy: {min_healthy_seconds: 1}}
"""


class Folder:
    """A cluster's folder, and the simulator of that cluster."""

    def __init__(self, path: Path, sim: SimulatedCluster) -> None:
        self.path = path
        self.sim = sim
        (path / "contracts").mkdir()
        (path / "sim.json").write_text(json.dumps(endpoints(sim, {})))

    def contract(self, name: str, cpus: float = 0.1, more: str = "") -> None:
        text = CONTRACT.replace("NAME", name).replace("CPUS", str(cpus)).replace("MORE", more)
        (self.path / "contracts" / f"{name}.yaml").write_text(text)

    def run(self, *words: str) -> int:
        return main(
            [*words, "--simulator", str(self.path / "sim.json"), "--file", str(self.path / "cluster.yaml")]
        )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    (tmp_path / "cluster.yaml").write_text((ROOT / "cluster.yaml").read_text())
    planned = plan(load(tmp_path / "cluster.yaml"), None)
    with SimulatedCluster.of_plan(planned, clock=RunningClock(60)) as sim:
        yield Folder(tmp_path, sim)


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_what_plan_shows_apply_does_and_then_nothing_is_left(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.contract("db")
    folder.contract("shop", more=", depends_on: [db]")

    assert folder.run("plan") == 0
    shown = capsys.readouterr().out
    assert "SIMULATOR" in shown
    assert "+ app db" in shown
    assert "Plan: 2 to create, 0 to change, 0 to delete." in shown
    assert folder.run("plan", "--exit-code") == 3
    assert folder.run("status") == 1
    assert "clustermesos apply" in capsys.readouterr().out

    assert folder.run("apply") == 0
    captured = capsys.readouterr()
    assert captured.out.index("app db") < captured.out.index("app shop")
    assert "everything is as the contracts say" in captured.out
    assert folder.run("plan", "--exit-code") == 0
    assert "No changes" in capsys.readouterr().out
    assert folder.run("status", "--json") == 0
    assert [one["name"] for one in said(capsys)["contracts"]] == ["db", "shop"]
    kept = folder.path / ".clustermesos/last-apply.json"
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_plan_apply_and_explain_answer_in_json_whether_it_went_well_or_not(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.contract("db")

    assert folder.run("plan", "--json") == 0
    [change] = [one for one in said(capsys)["changes"] if one["kind"] == "app"]
    assert (change["name"], change["action"]) == ("db", "create")
    assert folder.run("apply", "--json") == 0
    applied = said(capsys)
    assert applied["good"] is applied["simulator"] is True
    assert folder.run("explain", "db", "--json") == 0
    assert said(capsys)["simulator"] is True

    folder.contract("db", cpus=0.2)
    folder.sim.inject(Fault(kind="no_offers", seconds=10**6))
    assert folder.run("apply", "--timeout", "6", "--json") == 1
    assert said(capsys)["good"] is False


@pytest.mark.slow
def test_what_cant_be_placed_is_explained_and_what_needs_it_is_not_touched(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.contract("db")
    folder.contract("shop", more=", depends_on: [db]")
    folder.sim.inject(Fault(kind="no_offers", seconds=10**6))

    assert folder.run("apply", "--timeout", "6") == 1
    captured = capsys.readouterr()
    assert "not touched: it depends on db" in captured.out
    assert folder.run("explain", "db") == 1
    assert "no offer has come" in capsys.readouterr().out
    assert folder.run("explain", "shop", "--json") == 1

    folder.sim.heal()
    assert folder.run("apply") == 0


@pytest.mark.slow
def test_what_is_too_large_is_told_with_its_arithmetic_in_the_report_and_in_json(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.contract("db", cpus=1.5)
    for agent in folder.sim.world.agents.values():
        agent.used_cpus = agent.cpus - 0.5

    assert folder.run("apply", "--timeout", "6") == 1
    captured = capsys.readouterr()
    assert "cpus: 1.5 asked, 0.5 offered, 1 missing" in captured.out
    assert "try: more or larger agents" in captured.out
    assert "  agents:\n" in captured.err

    assert folder.run("apply", "--timeout", "6", "--json") == 1
    [apps] = [one for one in said(capsys)["outcomes"] if one["hook"] == "applications"]
    explained = apps["verdicts"][0]["explanation"]
    assert {one["reasons"][0] for one in explained["agents"] if one["pool"] == "general"} == {
        "cpus: 1.5 asked, 0.5 offered, 1 missing"
    }


@pytest.mark.slow
def test_what_no_contract_names_any_longer_goes_only_with_prune(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.contract("old")
    folder.contract("shop")
    assert folder.run("apply") == 0
    (folder.path / "contracts/old.yaml").unlink()

    assert folder.run("apply") == 0
    assert owners(folder) == {"old", "shop"}
    assert folder.run("apply", "--prune") == 0
    until("the old tasks have ended", 30, lambda: owners(folder) == {"shop"})
    capsys.readouterr()


@pytest.mark.slow
def test_nothing_is_pruned_while_what_may_replace_it_has_failed(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.contract("shop")
    assert folder.run("apply") == 0
    (folder.path / "contracts/shop.yaml").unlink()
    folder.contract("store")
    folder.sim.inject(Fault(kind="no_offers", seconds=10**6))
    capsys.readouterr()

    assert folder.run("apply", "--prune", "--json", "--timeout", "6") == 1

    out, err = capsys.readouterr()
    assert "not pruned: store failed; what no contract names any longer stays until" in err
    changes = [one for each in json.loads(out)["outcomes"] for one in each["changes"]]
    (kept,) = [one for one in changes if one["name"].startswith("/shop/")]
    assert (kept["action"], kept["details"]) == ("keep", ["not pruned: store failed"])
    assert "shop" in owners(folder)
    folder.sim.heal()
    assert folder.run("apply", "--prune") == 0
    until("the old tasks have ended", 30, lambda: owners(folder) == {"store"})


@pytest.mark.slow
def test_a_report_that_cant_be_kept_is_printed_all_the_same(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.contract("shop")
    (folder.path / ".clustermesos" / "last-apply.json").mkdir(parents=True)

    assert folder.run("apply") == 0

    out, err = capsys.readouterr()
    assert out.endswith("1 change, everything is as the contracts say\n")
    assert err.splitlines()[-1] == "the report is not kept in last-apply.json: Is a directory"


@pytest.mark.slow
def test_an_urgent_change_is_made_without_chronos_and_tells_that_jobs_were_left(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.contract("shop")
    file = folder.path / "sim.json"
    found = json.loads(file.read_text())
    found["instances"]["chronos"] = [f"127.0.0.1:{free_port()}"]
    file.write_text(json.dumps(found))

    assert folder.run("apply", "--gate-timeout", "5") == 1
    assert "the platform is not ready after 5 s; nothing was changed" in capsys.readouterr().err
    assert folder.run("apply", "--gate-timeout", "5", "--degraded") == 1

    out = capsys.readouterr().out
    assert "?    chronos" in out and "gone on all the same: --degraded" in out
    assert "ok   app shop" in out
    assert "NOT  job all" in out
    assert owners(folder) == {"shop"}


def owners(folder: Folder) -> set[str]:
    return {task.owner.split("/")[1] for task in folder.sim.tasks()}


def test_a_contract_that_the_cluster_cant_keep_is_refused_before_the_platform_is_asked(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.contract("shop", cpus=64)

    assert folder.run("apply") == 2
    assert "shop.yaml:4: ops" in capsys.readouterr().err
    assert folder.sim.tasks() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", '"simulator" is not true'),
        ("[1]", "is not what clustermesos simulate writes"),
        ('{"simulator": true}', "is not what clustermesos simulate writes"),
        ('{"simulator": true, "instances": {"marathon": ["x"]}}', "is not what clustermesos simulate writes"),
        (None, "clustermesos simulate --endpoints"),
    ],
)
def test_a_file_of_no_simulator_is_one_line(
    folder: Folder, capsys: pytest.CaptureFixture[str], text: str | None, words: str
) -> None:
    file = folder.path / "sim.json"
    file.unlink()
    if text is not None:
        file.write_text(text)

    assert folder.run("status") == 1
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


def test_what_was_never_deployed_is_told_before_ssh_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cluster.yaml").write_text((ROOT / "cluster.yaml").read_text())

    assert main(["status", "--file", str(tmp_path / "cluster.yaml")]) == 1
    assert capsys.readouterr().err.startswith("eu: nothing of it is known here: cdktf deploy '*'")
