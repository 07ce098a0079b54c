"""Units that a generation no longer starts are ended on the node, whoever brought their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.nodes.node import CONF, STAGE, UNIT, Node

INSTANCE = "tunnel@far.service"
"""Of a template that a package brings: no file of ours is named so."""
FAR: dict[str, Any] = {"component": "far", "units": [INSTANCE, "far.timer"], "seconds": 5, "checks": []}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """It runs a component that the next generation may lack."""
    made = Node(tmp_path)
    made.send({CONF: "one\n"}, stages=[STAGE, FAR], boot_units=["early.service"])
    assert made.apply("first-boot").returncode == 0
    made.calls()
    return made


def ended(node: Node) -> list[str]:
    return [call.split()[-1] for call in node.calls() if call.startswith("disable --now ")]


def test_what_is_no_longer_started_is_disabled_and_stopped_the_last_one_first(node: Node) -> None:
    node.send({CONF: "one\n"}, stages=[STAGE])

    done = node.apply()

    assert done.returncode == 0, done.stderr
    assert ended(node) == ["early.service", "far.timer", INSTANCE]
    assert f"clustermesos-apply: ended {INSTANCE}: no longer wanted\n" in done.stdout


def test_a_unit_is_ended_while_its_settings_are_still_there(node: Node) -> None:
    drop_in = f"/etc/systemd/system/{INSTANCE}.d/ours.conf"
    node.send({drop_in: "[Service]\n"}, stages=[STAGE, FAR])
    assert node.apply().returncode == 0
    looks = f'if [ "$1" = disable ]; then cat {node.at(drop_in)} || exit 1; fi'
    node.double("systemctl", f"#!/bin/sh\n# Double.\n{looks}\necho loaded\n")
    node.send({CONF: "one\n"}, stages=[STAGE])

    done = node.apply()

    assert done.returncode == 0, done.stderr
    assert not node.at(drop_in).exists()


def test_what_only_moved_or_is_gone_already_is_left_alone(node: Node) -> None:
    (node.doubles / "absent").write_text("far.timer\n")
    node.send({CONF: "one\n"}, stages=[STAGE], boot_units=[INSTANCE, "early.service"])

    assert node.apply().returncode == 0

    assert ended(node) == []


@pytest.mark.slow
def test_a_unit_of_a_generation_that_failed_is_ended_by_the_next_and_by_the_way_back(node: Node) -> None:
    broken = {"component": "new", "units": ["new.service"], "seconds": 5, "checks": ["new.service"]}
    (node.doubles / "inactive").write_text("new.service\n")
    for command in ("apply", "rollback"):
        node.send({CONF: "one\n"}, stages=[STAGE, FAR, broken], boot_units=["early.service"])
        assert node.apply().returncode == 3
        node.calls()
        if command == "apply":
            node.send({CONF: "two\n"}, stages=[STAGE, FAR], boot_units=["early.service"])
        assert node.apply(command).returncode == 0
        assert ended(node) == ["new.service"]


@pytest.mark.slow
def test_after_that_it_is_not_ended_again_and_comes_back_when_it_is_wanted(node: Node) -> None:
    node.send({CONF: "one\n"}, stages=[STAGE])
    assert node.apply().returncode == 0
    node.calls()
    node.send({CONF: "two\n"}, stages=[STAGE])
    assert node.apply().returncode == 0
    assert ended(node) == []

    node.send({CONF: "two\n"}, stages=[STAGE, FAR])
    assert node.apply().returncode == 0

    assert {f"enable --no-reload {INSTANCE}", f"start {INSTANCE}"} <= set(node.calls())


@pytest.mark.slow
def test_one_that_can_not_be_ended_is_said_and_tried_again(node: Node) -> None:
    (node.doubles / "fail").write_text(f"disable --now {INSTANCE}\n")
    node.send({CONF: "one\n"}, stages=[STAGE])
    done = node.apply()
    assert done.returncode == 1
    assert f"systemctl disable --now {INSTANCE}: exit code 1" in done.stderr
    (node.doubles / "fail").unlink()
    node.calls()

    assert node.apply().returncode == 0

    assert INSTANCE in ended(node)
    assert UNIT not in ended(node)


def test_systemd_is_told_in_the_end_what_was_enabled_so_that_it_knows_what_stops_later(node: Node) -> None:
    node.send({CONF: "one\n"}, stages=[STAGE, FAR])

    assert node.apply().returncode == 0

    calls = node.calls()
    enabled = [place for place, call in enumerate(calls) if call.startswith("enable ")]
    assert enabled and "daemon-reload" in calls[enabled[-1] :]
