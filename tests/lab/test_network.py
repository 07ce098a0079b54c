"""Nodes that are cut off, and agents whose name or address changes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import (
    LONG,
    MASTERS,
    address,
    agents_of,
    all_members_alive,
    consul,
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
    zookeeper_modes,
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


def _in(words: str, text: Callable[[], str]) -> bool:
    return words in text()


def test_name_and_address_of_a_consul_server_and_of_a_master_changed(lab: KeptLab, drill: Drill) -> None:
    """Planned nodes, whose addresses all others know; at once, since each takes two reboots."""
    planned = {name: address(lab, name) for name in ("consul-1", "master-2")}
    moved = {name: f"{old.rpartition('.')[0]}.99" for name, old in planned.items()}
    left = [master for master in MASTERS if master not in planned]
    drill.breaks(
        "the only Consul server and a master come up with another name and another address",
        "each says which address it lacks and joins nobody; with that address it goes on, whatever its name",
    )
    try:
        for name in planned:
            says(lab, name, "hostnamectl", "set-hostname", f"renamed-{name}")
        lab.stop(*planned)
        for name, new in moved.items():
            lab.address(name, new)
        lab.start(*planned)
        for name, old in planned.items():
            journal = partial(says, lab, name, "journalctl", "-b", "-o", "cat", "-u", "clustermesos-apply")
            words = f"no interface has {old}, the planned one"
            until(f"{name} says so", LONG, partial(_in, words, journal))
            assert lab.run(name, "clustermesos-health", "--brief").code != 0
        drill.saw("each says that no interface has the planned address, and is not healthy")
        seen("the others' quorum", LONG, lambda: sorted(zookeeper_modes(lab, left).values()), len)
        assert sorted(zookeeper_modes(lab, left).values()) == ["follower", "leader"]
        members = consul(lab, "master-1", "members", token="agent")
        assert not [new for new in moved.values() if new in members]
        drill.saw("the other two masters are a quorum, and nobody joined Consul from another address")
    finally:
        lab.stop(*planned)
        for name, old in planned.items():
            lab.address(name, old)
        lab.start(*planned)
    lab.wait(BOOT_SECONDS)
    quorum(lab)
    all_members_alive(lab)
    for name in planned:
        assert says(lab, name, "hostname") == f"renamed-{name}"
        says(lab, name, "hostnamectl", "set-hostname", name)
    drill.saw("with its planned address each is healthy, and a member by its planned name, not by its own")


def test_consul_names_resolve_on_every_member(lab: KeptLab) -> None:
    for name in members_of(lab):
        resolves(lab, name, "consul.service.consul")
    lab.wait(HEALTHY_SECONDS)
