"""The order of a roll and what stops it, against a double of Terraform; test_embedded.py has the real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.components.model import Role
from constructs_lib.errors import RollError
from constructs_lib.plan.plan import plan
from constructs_lib.roll import nodes as nodes_module
from constructs_lib.roll.gate import Machine
from constructs_lib.roll.nodes import NodeRoll
from constructs_lib.spec.load import from_dict
from constructs_lib.spec.workspace import Workspace
from tests.roll.double import FAKES, FakeSite, FakeTerraform

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAtWHj8rtM8QGUNPFcZG/fTVYiYrfsKyKF6Ya+W74bef ops@example.org"
MASTERS = ("master-1", "master-2", "master-3")


@dataclass
class Gate:
    """A double of a gate: a master is sick when `sick` says so of its machine's id."""

    terraform: FakeTerraform
    sick: Callable[[str, str], bool] = lambda name, id_: False

    def look(self, machines: Sequence[Machine]) -> dict[str, str | None]:
        self.terraform.log.append("gate")
        ids = {name: machine[0] for name, machine in self.terraform.machines.items()}
        return {one.name: "down" if self.sick(one.name, ids[one.name]) else None for one in machines}


@pytest.fixture
def terraform() -> FakeTerraform:
    return FakeTerraform({name: [f"i-{n}", "small", f"10.20.16.1{n}"] for n, name in enumerate(MASTERS, 1)})


@pytest.fixture
def build(
    terraform: FakeTerraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[NodeRoll, list[str]]]:
    """Makes a roll of the masters, and the list of what it says."""
    monkeypatch.setattr(nodes_module, "PATIENCE_BEFORE", 0.0)
    spec = from_dict(
        {
            "name": "demo",
            "sites": {"eu": {"platform": "aws", "aws": {"region": "eu-west-3"}, "network": "10.20.0.0/16"}},
            "admin": {"networks": ["203.0.113.0/24"], "ssh_keys": [KEY]},
        }
    )
    cluster = plan(spec)
    workspace = Workspace(tmp_path / "cluster.yaml")
    FAKES[id(workspace)] = terraform

    def make(
        sick: Callable[[str, str], bool] | None = None, *, agree: bool = True, **options: Any
    ) -> tuple[NodeRoll, list[str]]:
        said: list[str] = []
        site = FakeSite(
            cluster=cluster, plan=cluster.site("eu"), workspace=workspace, stacks={}, say=said.append
        )
        gate = Gate(terraform, sick) if sick else Gate(terraform)

        def confirm(question: str) -> bool:
            said.append(question)
            return agree

        roll = NodeRoll(
            site=site,
            role=Role.MASTER,
            gate=gate,
            gate_timeout=0.01,
            say=said.append,
            confirm=confirm,
            **options,
        )
        return roll, said

    return make


Build = Callable[..., tuple[NodeRoll, list[str]]]


def test_one_after_the_other_each_between_two_gates(build: Build, terraform: FakeTerraform) -> None:
    roll, said = build()
    assert roll.run() == MASTERS
    order = [f"{word}" for name in MASTERS for word in ("gate", f"apply {name}", "gate")]
    assert terraform.log == ["init", *order]
    assert "Each time 2 of 3 are left, the quorum is 2." in "\n".join(said)


def test_those_up_to_date_stay(build: Build, terraform: FakeTerraform) -> None:
    terraform.machines["master-2"][1] = "large"
    roll, said = build()
    assert roll.run() == ("master-1", "master-3")
    assert "master-2: up to date" in said


def test_only_replaces_that_one_up_to_date_or_not(build: Build, terraform: FakeTerraform) -> None:
    terraform.machines["master-2"][1] = "large"
    assert build(only="master-2")[0].run() == ("master-2",)


def test_only_of_nobody_names_those_there_are(build: Build) -> None:
    with pytest.raises(RollError, match="got 'master-9', expected one of master-1, master-2, master-3"):
        build(only="master-9")[0].run()


@pytest.mark.parametrize("options", [{"dry_run": True}, {"agree": False}])
def test_a_dry_run_and_a_no_change_nothing(
    build: Build, terraform: FakeTerraform, options: dict[str, bool]
) -> None:
    roll, _ = build(**options)
    if options.get("dry_run"):
        assert roll.run() == ()
    else:
        with pytest.raises(RollError, match="not confirmed; nothing was changed"):
            roll.run()
    assert terraform.log == ["init"]


def test_what_waits_for_a_deploy_is_refused_before_any_gate(build: Build, terraform: FakeTerraform) -> None:
    terraform.waiting = "aws_launch_template.x"
    with pytest.raises(RollError, match=r"aws_launch_template\.x: changed in place"):
        build()[0].run()
    assert terraform.log == ["init"]


def test_a_sick_one_stops_the_replacement_of_another(build: Build, terraform: FakeTerraform) -> None:
    roll, _ = build(lambda name, id_: name == "master-3")
    with pytest.raises(RollError, match="without master-1, 1 of 3 would be left and the quorum is 2"):
        roll.run()
    assert terraform.log == ["init", "gate"]


def test_the_sick_one_itself_can_be_replaced(build: Build, terraform: FakeTerraform) -> None:
    roll, _ = build(lambda name, id_: id_ == "i-3", only="master-3")
    assert roll.run() == ("master-3",)


def test_one_that_does_not_come_back_stops_it_and_says_how_to_go_on(
    build: Build, terraform: FakeTerraform
) -> None:
    roll, _ = build(lambda name, id_: id_ == "i-2+")
    with pytest.raises(RollError, match=r"master-2 was replaced, and after 0\.01 seconds") as caught:
        roll.run()
    assert "Stopped at master-2; done before: master-1." in str(caught.value)
    assert "ssh_config master-2.eu" in str(caught.value)
    assert "apply master-3" not in terraform.log
    assert build()[0].run() == ("master-3",)


def test_an_apply_that_fails_stops_it(build: Build, terraform: FakeTerraform) -> None:
    terraform.fails_at = "master-2"
    with pytest.raises(RollError, match=r"quota\nStopped at master-2; done before: master-1"):
        build()[0].run()
    assert "apply master-3" not in terraform.log


def test_an_incomplete_node_comes_first(build: Build, terraform: FakeTerraform) -> None:
    terraform.machines["master-3"][0] = ""
    roll, said = build(lambda name, id_: not id_)
    assert roll.run() == ("master-3", "master-1", "master-2")
    assert said[0].startswith("master-3 is incomplete")


def test_another_than_the_incomplete_one_is_refused(build: Build, terraform: FakeTerraform) -> None:
    terraform.machines["master-3"][0] = ""
    with pytest.raises(RollError, match="master-3 is incomplete and has to come first: --only master-3"):
        build(only="master-1")[0].run()
    assert terraform.log == ["init"]


def test_two_incomplete_ones_are_for_a_deploy(build: Build, terraform: FakeTerraform) -> None:
    terraform.machines["master-2"][0] = terraform.machines["master-3"][0] = ""
    with pytest.raises(RollError, match="cdktf deploy"):
        build()[0].run()


def test_drift_elsewhere_is_told_and_not_undone(build: Build, terraform: FakeTerraform) -> None:
    terraform.drifted = True
    roll, said = build()
    assert roll.run() == MASTERS
    assert any("changed outside of Terraform and left alone" in line for line in said)


def test_a_plan_file_is_private_and_gone_afterwards(build: Build, tmp_path: Path) -> None:
    build()[0].run()
    assert not list((tmp_path / ".clustermesos").glob("plan-*"))


def test_an_interrupted_roll_says_how_to_go_on(
    build: Build, terraform: FakeTerraform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(file: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(terraform, "apply", interrupted)
    roll, said = build()
    with pytest.raises(KeyboardInterrupt):
        roll.run()
    assert said[-1].startswith("Stopped at master-1; done before: none.")
