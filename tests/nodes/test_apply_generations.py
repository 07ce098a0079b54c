"""Generations on a node: kept, rolled back to, and refused where they did not arrive whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nodes.node import CONF, STAGE, UNIT, UNIT_CHECK, Node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.mark.slow
def test_rollback_applies_the_former_generation_and_rolls_back_from_a_failed_one(node: Node) -> None:
    node.send({CONF: "one\n"}, restarts={CONF: UNIT}, stages=[STAGE])
    node.apply("first-boot")
    node.send({CONF: "two\n", "/etc/extra": "x\n"}, restarts={CONF: UNIT}, stages=[STAGE])
    node.apply()

    assert node.apply("rollback").returncode == 0
    assert node.at(CONF).read_text() == "one\n"
    assert not node.at("/etc/extra").exists()
    assert f"restart {UNIT}" in node.calls()

    (node.doubles / "inactive").write_text(f"{UNIT}\n")
    node.send({CONF: "three\n"}, stages=[STAGE | {"checks": UNIT_CHECK}])
    assert node.apply().returncode == 3
    assert node.apply("rollback").returncode == 0
    assert node.at(CONF).read_text() == "one\n"
    assert node.status()["applied"] == node.status()["wanted"] == 1


def test_rollback_without_a_former_generation_says_so(node: Node) -> None:
    node.send({CONF: "one\n"})
    node.apply("first-boot")

    done = node.apply("rollback")

    assert done.returncode == 2
    assert done.stderr == "clustermesos-apply: error: there is no former generation to go back to\n"


@pytest.mark.slow
def test_only_a_few_generations_are_kept_and_the_former_is_among_them(node: Node) -> None:
    for number in range(8):
        node.send({CONF: f"{number}\n"})
        assert node.apply().returncode == 0

    assert node.status()["generations"] == [4, 5, 6, 7, 8]
    assert node.apply("rollback").returncode == 0
    assert node.at(CONF).read_text() == "6\n"


def test_a_generation_that_did_not_arrive_whole_is_refused_and_the_node_stays(node: Node) -> None:
    node.send({CONF: "one\n"})
    node.apply("first-boot")
    node.send({CONF: "two\n", "/etc/lost": "x\n"})
    (node.state / "incoming/files/etc/lost").unlink()

    done = node.apply()

    assert done.returncode == 2
    assert "missing: ['/etc/lost']" in done.stderr
    assert done.stderr.count("\n") == 1
    assert node.at(CONF).read_text() == "one\n"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 1}', '{"format": 2, "files": [], "secrets": []}']
)
def test_a_manifest_that_cannot_be_read_is_one_line(node: Node, text: str) -> None:
    incoming = node.state / "incoming"
    incoming.mkdir(parents=True)
    (incoming / "manifest.json").write_text(text)

    done = node.apply()

    assert done.returncode == 2
    assert done.stderr.startswith("clustermesos-apply: error: ")
    assert done.stderr.count("\n") == 1


def test_nothing_to_apply_says_so(node: Node) -> None:
    done = node.apply()

    assert done.returncode == 2
    assert "nothing to apply" in done.stderr
