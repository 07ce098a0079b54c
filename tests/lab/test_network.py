"""Nodes that are cut off, and agents whose name or address changes."""

from __future__ import annotations

from functools import partial

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import (
    LONG,
    MASTERS,
    address,
    agents_of,
    all_members_alive,
    consul_members,
    leader,
    members_of,
    not_alive,
    quorum,
    reaches,
    resolves,
    says,
    seen,
    stays,
    until,
    zookeeper_mode,
)
from tests.lab.drill import Drill
from tests.lab.healthy import BOOT_SECONDS, HEALTHY_SECONDS

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
        quorum(lab, others)
        drill.saw("the others have a new leader")
        until("the one cut off serves nobody", LONG, lambda: not zookeeper_mode(lab, old))
        stays("the one cut off serves nobody", lambda: zookeeper_mode(lab, old), lambda mode: not mode)
        drill.saw(f"{old} serves nobody")
    finally:
        lab.heal(old)
    until("the old leader follows", LONG, lambda: zookeeper_mode(lab, old) == "follower")
    drill.saw(f"healed, {old} follows")


def test_agent_partitioned_and_healed(lab: KeptLab, drill: Drill) -> None:
    drill.breaks(
        "the agent is cut off the network for a while",
        "Consul marks it failed and no other; healed, it is alive again without a hand",
    )
    lab.cut(AGENT)
    try:
        failed = {AGENT: "failed"}
        seen(
            "Consul says that it failed, and no other",
            LONG,
            partial(not_alive, lab),
            lambda found: found == failed,
        )
        stays(
            "Consul says that it failed, and no other", partial(not_alive, lab), lambda found: found == failed
        )
        drill.saw("failed in Consul, all others alive")
    finally:
        lab.heal(AGENT)
    all_members_alive(lab)
    drill.saw("alive again")


def test_name_and_address_of_an_agent_changed(lab: KeptLab, drill: Drill) -> None:
    old = address(lab, AGENT)
    drill.breaks(
        "the agent comes up with another name and another address",
        "its files are completed anew at that boot, and it is a member under its new name and address",
    )
    try:
        says(lab, AGENT, "hostnamectl", "set-hostname", "renamed-1")
        lab.stop(AGENT)
        lab.address(AGENT, NEW_ADDRESS)
        lab.start(AGENT)
        lab.wait(BOOT_SECONDS, AGENT)
        files = f"NODE_NAME=renamed-1\nNODE_ADDRESS={NEW_ADDRESS}"
        here = partial(says, lab, AGENT, "cat")
        seen("its files know", LONG, partial(here, "/etc/clustermesos/node.env"), lambda text: text == files)
        until("its names know", LONG, lambda: f"{NEW_ADDRESS} renamed-1" in here("/etc/hosts"))
        drill.saw("its files have the new name and address")
        members = partial(consul_members, lab)
        seen("Consul knows it", LONG, members, lambda found: found.get("renamed-1") == "alive")
        until("a master lets it in", LONG, lambda: reaches(lab, AGENT, address(lab, "master-1"), 2181))
        seen("Mesos has it at its new address", LONG, partial(agents_of, lab, AGENT, NEW_ADDRESS))
        drill.saw("a member of Consul under its new name, and an agent of Mesos at its new address")
    finally:
        # Agents are replaced, never repaired.
        lab.destroy(AGENT, keep_data=False)
        lab.address(AGENT, old)
        lab.rebuild(AGENT)
    lab.wait(BOOT_SECONDS)
    drill.saw("replaced by an agent of the old name")


def test_consul_names_resolve_on_every_member(lab: KeptLab) -> None:
    for name in members_of(lab):
        resolves(lab, name, "consul.service.consul")
    lab.wait(HEALTHY_SECONDS)
