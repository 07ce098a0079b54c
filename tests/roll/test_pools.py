"""Pools whose agents have planned addresses are rolled as nodes are, by the same doubles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from constructs_lib.aws import rolling as words
from constructs_lib.components.model import Role
from constructs_lib.errors import RollError
from constructs_lib.plan.plan import plan
from constructs_lib.roll import nodes as nodes_module
from constructs_lib.roll.nodes import NodeRoll
from constructs_lib.spec.load import from_dict
from constructs_lib.spec.workspace import Workspace
from tests.roll.double import FAKES, FakeSite, FakeTerraform
from tests.roll.test_nodes import KEY, Gate

AGENTS = ("general-1", "general-2", "general-3")
ADDRESSES = ("10.20.32.4", "10.20.32.5", "10.20.32.6")
FIXED, ELASTIC = {"count": 3}, {"min": 0, "max": 6}


@pytest.fixture
def terraform() -> FakeTerraform:
    addresses = dict(zip(AGENTS, ADDRESSES, strict=True))
    return FakeTerraform({name: [f"i-{name}", "small", address] for name, address in addresses.items()})


def roll(
    terraform: FakeTerraform,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: Mapping[str, int] = FIXED,
    **options: object,
) -> tuple[NodeRoll, list[str]]:
    monkeypatch.setattr(nodes_module, "PATIENCE_BEFORE", 0.0)
    # The double of Terraform has AWS' machines.
    monkeypatch.setattr(nodes_module, "rolling", lambda platform: words)
    openstack = {"external_network": "public", "image": "ubuntu-24.04"}
    site = {"platform": "openstack", "openstack": openstack, "network": "10.20.0.0/16"}
    given = {
        "name": "demo",
        "sites": {"dc1": site | {"agents": {"general": {**size}, "batch": {"count": 2}}}},
        "admin": {"networks": ["203.0.113.0/24"], "ssh_keys": [KEY]},
    }
    cluster = plan(from_dict(given))
    workspace = Workspace(folder / "cluster.yaml")
    FAKES[id(workspace)] = terraform
    said: list[str] = []

    def confirm(question: str) -> bool:
        said.append(question)
        return True

    made = NodeRoll(
        site=FakeSite(
            cluster=cluster, plan=cluster.site("dc1"), workspace=workspace, stacks={}, say=said.append
        ),
        role=Role.AGENT,
        gate=Gate(terraform),
        gate_timeout=0.01,
        say=said.append,
        confirm=confirm,
        pool="general",
        **options,  # type: ignore[arg-type]  # a test names any field of it
    )
    return made, said


def test_agents_go_one_after_the_other_each_between_two_gates(
    terraform: FakeTerraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, said = roll(terraform, tmp_path, monkeypatch)

    assert made.run() == AGENTS
    assert terraform.log == ["init", *(w for name in AGENTS for w in ("gate", f"apply {name}", "gate"))]
    assert "Replace general-1, general-2, general-3, one at a time?" in said


def test_those_that_are_up_to_date_stay_unless_all_are_asked_for(
    terraform: FakeTerraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform.machines["general-2"][1] = "large"

    made, said = roll(terraform, tmp_path, monkeypatch)
    assert made.run() == ("general-1", "general-3")
    assert "general-2: up to date" in said

    made, _ = roll(terraform, tmp_path, monkeypatch, everyone=True)
    assert made.run() == AGENTS


def test_an_agent_that_is_not_in_the_pool_is_named(
    terraform: FakeTerraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RollError, match="got 'batch-1', expected one of general-1, general-2, general-3"):
        roll(terraform, tmp_path, monkeypatch, only="batch-1")[0].run()


def test_of_a_pool_between_min_and_max_those_that_there_are_go_and_nobody_else_is_asked(
    terraform: FakeTerraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, said = roll(terraform, tmp_path, monkeypatch, ELASTIC)

    assert made.run() == AGENTS
    assert "general-1: asking all 3 before anything changes" in said
    assert terraform.log == ["init", *(w for name in AGENTS for w in ("gate", f"apply {name}", "gate"))]


@pytest.mark.parametrize("name", ["general-4", "general-7"], ids=["not made", "beyond max"])
def test_an_agent_that_an_elastic_pool_has_not_now_is_no_one_to_roll(
    name: str, terraform: FakeTerraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RollError, match=rf"got '{name}', expected one of general-1, general-2, general-3$"):
        roll(terraform, tmp_path, monkeypatch, ELASTIC, only=name)[0].run()


def test_an_elastic_pool_without_an_agent_has_nothing_to_roll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RollError, match=r"dc1 has no agent of general$"):
        roll(FakeTerraform({}), tmp_path, monkeypatch, ELASTIC)[0].run()


def test_an_agent_that_a_pool_with_a_count_lacks_is_for_a_deploy(
    terraform: FakeTerraform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RollError, match="general-4: the plan holds 0 machines of that name"):
        roll(terraform, tmp_path, monkeypatch, {"count": 4})[0].run()
