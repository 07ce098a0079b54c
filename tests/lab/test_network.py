"""Nodes that are cut off, and agents whose name or address changes."""

from __future__ import annotations

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import (
    MASTERS,
    address,
    consul_members,
    has_quorum,
    leader,
    reaches,
    says,
    until,
    zookeeper_mode,
)
from tests.lab.conftest import BOOT_SECONDS, HEALTHY_SECONDS
from tests.lab.drill import Drill

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
AGENT = "general-1"
NEW_ADDRESS = "10.66.32.99"


def test_leading_master_partitioned_and_healed(lab: KeptLab, drill: Drill) -> None:
    old = leader(lab)
    others = [master for master in MASTERS if master != old]
    drill.breaks(
        "the leading master is cut off the network for a while",
        "the rest elects a new leader; the one that is cut off serves nobody; healed, it follows",
    )
    lab.cut(old)
    try:
        until("the other two have a leader", 90, lambda: has_quorum(lab, others))
        drill.saw("the others have a new leader")
        until("the one cut off serves nobody", 60, lambda: not zookeeper_mode(lab, old))
        drill.saw(f"{old} serves nobody")
    finally:
        lab.heal(old)
    until("the old leader follows", 120, lambda: zookeeper_mode(lab, old) == "follower")
    drill.saw(f"healed, {old} follows")


def test_agent_partitioned_and_healed(lab: KeptLab, drill: Drill) -> None:
    drill.breaks(
        "the agent is cut off the network for a while",
        "Consul marks it failed and no other; healed, it is alive again without a hand",
    )
    lab.cut(AGENT)
    try:
        until("Consul says that it failed", 120, lambda: consul_members(lab)[AGENT] == "failed")
        others = {name: state for name, state in consul_members(lab).items() if name != AGENT}
        assert set(others.values()) == {"alive"}
        drill.saw("failed in Consul, all others alive")
    finally:
        lab.heal(AGENT)
    until("Consul says that it is alive", 180, lambda: consul_members(lab)[AGENT] == "alive")
    drill.saw("alive again")


def test_name_and_address_of_an_agent_changed(lab: KeptLab, drill: Drill) -> None:
    old = address(lab, AGENT)
    drill.breaks(
        "the agent comes up with another name and another address",
        "its files are completed anew at that boot, and it is a member under its new name and address",
    )
    says(lab, AGENT, "hostnamectl", "set-hostname", "renamed-1")
    lab.stop(AGENT)
    lab.address(AGENT, NEW_ADDRESS)
    lab.start(AGENT)
    try:
        lab.wait(BOOT_SECONDS, AGENT)
        files = f"NODE_NAME=renamed-1\nNODE_ADDRESS={NEW_ADDRESS}"
        until("its files know", 60, lambda: says(lab, AGENT, "cat", "/etc/clustermesos/node.env") == files)
        assert f"{NEW_ADDRESS} renamed-1" in says(lab, AGENT, "cat", "/etc/hosts")
        drill.saw("its files have the new name and address")
        until("Consul knows it", 120, lambda: consul_members(lab).get("renamed-1") == "alive")
        assert reaches(lab, AGENT, address(lab, "master-1"), 2181)
        drill.saw("a member of Consul under its new name, and let in by the masters")
    finally:
        # Agents are replaced, never repaired.
        lab.destroy(AGENT, keep_data=False)
        lab.address(AGENT, old)
        lab.rebuild(AGENT)
    lab.wait(BOOT_SECONDS)
    drill.saw("replaced by an agent of the old name")


def test_consul_names_resolve_on_every_member(lab: KeptLab) -> None:
    for name in ("master-1", "consul-1", AGENT):
        found = says(lab, name, "getent", "ahostsv4", "consul.service.consul")
        assert address(lab, "consul-1") in found
    lab.wait(HEALTHY_SECONDS)
