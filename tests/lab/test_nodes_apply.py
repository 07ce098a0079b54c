"""Nodes that run are changed over real SSH through the gateway, one at a time, and go back."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.components.site_link import INTERFACE
from constructs_lib.errors import RollError
from constructs_lib.lab.keeper import KeptLab
from constructs_lib.lab.network import STRANGER
from constructs_lib.spec.load import load
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.workspace import Workspace
from tests.lab.admin import GATE_SECONDS, Operator
from tests.lab.asking import LONG, MASTERS, leader, quorum, reaches, until
from tests.lab.drill import Drill
from tests.lab.healthy import HEALTHY_SECONDS
from tests.lab.other_site import other_site

ZOO_CFG, LIMIT = "/etc/zookeeper/zoo.cfg", "initLimit=60"
SICK_SECONDS = 8
"""How long a master waits for a ZooKeeper that can't become healthy."""
pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
SECOND_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHzFSBTRwlqGfL5lsBd4UqvyCrj5AZCrfNWSQRnDXX second@example.org"
)


@pytest.fixture
def operator(lab: KeptLab, workspace: Workspace) -> Operator:
    return Operator(lab, workspace, load(workspace.cluster_file))


OTHER_SITE = {
    "platform": "openstack",
    "network": "10.67.0.0/16",
    "openstack": {"external_network": "public", "image": "ubuntu-24.04"},
    "agents": {"private": {"count": 1}},
}


def changed(
    spec: ClusterSpec, *, masters: dict[str, Any], admin: dict[str, Any], sites: dict[str, Any]
) -> ClusterSpec:
    """`spec` with other settings of the masters and of the admins, and with further sites."""
    data = spec.model_dump(mode="json", exclude_unset=True)
    data["sites"]["eu"]["masters"] |= masters
    data["admin"] |= admin
    data["sites"] |= sites
    return ClusterSpec.model_validate(data)


def test_a_flag_a_firewall_rule_a_key_and_a_new_site_reach_every_role_and_go_back(
    operator: Operator, drill: Drill
) -> None:
    lab, before = operator.lab, operator.targets(operator.spec)
    assert [(state.target.name, state.changes) for state in operator.states(before) if state.changes] == []
    spec = changed(
        operator.spec,
        masters={"memory_gib": 3},
        admin={
            "networks": ["203.0.113.0/24", "198.51.100.0/24"],
            "ssh_keys": [*operator.spec.admin.ssh_keys, SECOND_KEY],
        },
        sites={"dc1": OTHER_SITE},
    )
    secrets = operator.hand_out(spec)
    after = operator.targets(spec)
    drill.breaks(
        "cluster.yaml gives masters more heap, one more admin network and operator, and another site",
        "each node changes alone, the quorum stays, all are healthy, the other site's agents reach the "
        "masters and nothing else, and nodes rollback takes it all back",
    )

    done = operator.apply(after)

    names = [target.name for target in after]
    assert sorted(done) == sorted(names)
    assert [name.rpartition("-")[0] for name in done] == ["consul", *["master"] * 3, "general", "gateway"]
    drill.saw(f"changed one after the other: {', '.join(done)}")
    for name in names:
        keys = lab.run(name, "cat", f"/home/{operator.plan.admin.user}/.ssh/authorized_keys").out
        assert SECOND_KEY in keys
    for master in MASTERS:
        assert "-Xmx768m" in lab.run(master, "systemctl", "show", "-P", "ExecStart", "zookeeper.service").out
    assert "198.51.100.0/24" in lab.run("gateway-1", "nft", "list", "ruleset").out
    quorum(lab)
    assert not any(state.changes for state in operator.states(after))
    joined = operator.planned(spec)
    master = str(joined.site("eu").masters[0])
    assert not reaches(lab, STRANGER, master, 5050)
    with other_site(lab, joined, "dc1", secrets):
        until("the other site reaches a master", LONG, lambda: reaches(lab, STRANGER, master, 5050))
        assert not reaches(lab, STRANGER, master, 22)
        drill.saw("the other site's agents reach Mesos through the gateways' tunnel, and no SSH")

    back = operator.back(after)

    assert back == done[::-1] or sorted(back) == sorted(done)
    drill.saw(f"went back: {', '.join(back)}")
    assert "198.51.100.0/24" not in lab.run("gateway-1", "nft", "list", "ruleset").out
    assert lab.run("gateway-1", "ip", "link", "show", INTERFACE).code != 0
    assert [s.target.name for s in operator.states(before) if s.changes] == []
    quorum(lab)


def test_a_rotated_secret_reaches_its_readers_one_at_a_time(operator: Operator, drill: Drill) -> None:
    lab = operator.lab
    drill.breaks(
        "ZooKeeper's super password is rotated where machines get it from, and nodes apply runs",
        "each master fetches the new one and restarts its ZooKeeper alone; nobody else is touched",
    )
    operator.new_secret("zookeeper_super_password")
    targets = operator.targets(operator.spec)
    assert {state.target.name for state in operator.states(targets) if state.changes} == set(MASTERS)

    assert set(operator.apply(targets)) == set(MASTERS)

    drill.saw("three masters have it")
    for master in MASTERS:
        value = lab.run(master, "cat", "/etc/zookeeper/super-password").out
        assert value == operator.values["zookeeper_super_password"]
    assert not any(operator.values["zookeeper_super_password"] in line for line in operator.said)
    quorum(lab)


def test_a_change_that_is_not_healthy_stops_at_the_first_master_goes_on_once_mended_and_goes_back(
    operator: Operator, drill: Drill
) -> None:
    lab = operator.lab
    worse = operator.targets(operator.spec, {ZOO_CFG: (LIMIT, "initLimit=sixty")})
    leads = leader(lab)
    drill.breaks(
        "a zoo.cfg that ZooKeeper can't read is applied",
        "it stops at the first follower, says why, and the other two masters keep the quorum; with the file "
        "mended the same command goes on there, and nodes rollback takes that back",
    )

    operator.patience = SICK_SECONDS
    with pytest.raises(RollError, match="zookeeper") as stopped:
        operator.apply(worse)
    operator.patience = GATE_SECONDS

    text = str(stopped.value)
    drill.saw(f"stopped: {text.splitlines()[0]}")
    sick = text.partition(":")[0]
    assert sick in MASTERS
    assert sick != leads
    assert "last lines of zookeeper.service:" in text
    assert f"to go back: clustermesos nodes rollback {sick}" in text
    quorum(lab, [master for master in MASTERS if master != sick])

    good = {one.name: one for one in operator.targets(operator.spec, {ZOO_CFG: (LIMIT, "initLimit=61")})}
    # The other two masters are left as they are, to save their restarts.
    mended = [good[sick] if one.name == sick else one for one in operator.targets(operator.spec)]

    assert operator.apply(mended) == (sick,)

    assert "initLimit=61" in lab.run(sick, "cat", ZOO_CFG).out
    lab.wait(HEALTHY_SECONDS)
    quorum(lab)
    drill.saw(f"mended: it went on at {sick}, which is healthy")

    assert operator.back(mended) == (sick,)

    lab.wait(HEALTHY_SECONDS)
    assert LIMIT in lab.run(sick, "cat", ZOO_CFG).out
    drill.saw(f"{sick} is back with what it had before all of it")
    quorum(lab)
