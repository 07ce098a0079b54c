"""Masters that go away and come back: the quorum lives on, and nothing of what it held is lost."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Mapping

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import (
    CLIENT,
    LONG,
    MASTERS,
    leader,
    quorum,
    read_znode,
    reboot,
    says,
    seen,
    until,
    write_znode,
    zookeeper_mode,
    zookeeper_modes,
)
from tests.lab.drill import Drill
from tests.lab.healthy import BOOT_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
MARK = "/srv/data/mark"
LOCKED = "/locked"
SUPER = "/etc/zookeeper/super-password"
SEED = "CLUSTERMESOS_DRILL_SEED"
"""The number that a former run printed, to have its order again."""


def test_reboot_of_one_master(lab: KeptLab, drill: Drill) -> None:
    drill.breaks(
        "master-2 is rebooted", "the other two keep the quorum; it comes back by itself and takes part again"
    )
    reboot(lab, "master-2")
    # It may lead again before one of the others was elected: a reboot of a machine without firmware is short.
    modes = seen("a quorum with master-1 and master-3", LONG, lambda: zookeeper_modes(lab), _served)
    (leads,) = (name for name, mode in modes.items() if mode == "leader")
    drill.saw(f"master-1 and master-3 in a quorum led by {leads}, master-2 {modes.get('master-2', 'away')}")
    lab.wait(BOOT_SECONDS)
    quorum(lab)
    drill.saw("master-2 healthy, all three in the quorum")


def _served(modes: Mapping[str, str]) -> bool:
    """Whether masters 1 and 3 take part, and one master leads."""
    return {"master-1", "master-3"} <= set(modes) and list(modes.values()).count("leader") == 1


def test_zookeeper_leader_killed(lab: KeptLab, drill: Drill) -> None:
    old = leader(lab)
    others = [master for master in MASTERS if master != old]
    drill.breaks(
        "SIGKILL to the leading ZooKeeper",
        "the others elect a new leader; systemd starts the old one again, and it follows",
    )
    says(lab, old, "systemctl", "kill", "--signal=KILL", "zookeeper.service")
    quorum(lab, others)
    drill.saw("the others have a new leader")
    until("the old leader follows", LONG, lambda: zookeeper_mode(lab, old) == "follower")
    drill.saw(f"{old} follows")


def test_whole_cluster_off_and_on_in_any_order(lab: KeptLab, drill: Drill) -> None:
    write_znode(lab, "master-1", "/before-the-dark", "kept")
    seed = os.environ.get(SEED) or str(random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"{SEED}={seed} gives this order again\n")
    order = lab.names()
    random.Random(seed).shuffle(order)
    drill.breaks(
        f"all machines powered off at once, then on one after the other: {', '.join(order)} "
        f"({SEED}={seed} gives this order, any other number another)",
        "every node becomes healthy by itself, whatever the order; nothing is lost",
    )
    lab.stop()
    assert not any(state.on for state in lab.states())
    drill.saw("all are off")
    for name in order:
        lab.start(name)
    lab.wait(BOOT_SECONDS)
    drill.saw("all are healthy")
    quorum(lab)
    assert read_znode(lab, "master-3", "/before-the-dark") == "kept"
    drill.saw("what ZooKeeper held is still there")


def test_power_of_all_masters_lost_at_once(lab: KeptLab, drill: Drill) -> None:
    write_znode(lab, "master-1", "/before-the-crash", "kept")
    drill.breaks(
        "all masters lose their power in the same moment, without a word",
        "they come back with a quorum, and what was acknowledged is still there",
    )
    lab.crash(*MASTERS)
    lab.start(*MASTERS)
    lab.wait(BOOT_SECONDS)
    quorum(lab)
    assert read_znode(lab, "master-2", "/before-the-crash") == "kept"
    drill.saw("quorum again, nothing is lost")


def test_master_destroyed_and_rebuilt_with_its_data_volume(lab: KeptLab, drill: Drill) -> None:
    write_znode(lab, "master-1", "/with-volume", "kept")
    says(lab, "master-1", "sh", "-c", f"echo mine >{MARK}; sync")
    drill.breaks(
        "master-1's machine is destroyed, its data volume kept",
        "a new machine takes the volume as it is and joins",
    )
    lab.destroy("master-1", keep_data=True)
    lab.rebuild("master-1")
    lab.wait(BOOT_SECONDS)
    assert says(lab, "master-1", "cat", MARK) == "mine"
    quorum(lab)
    assert read_znode(lab, "master-1", "/with-volume") == "kept"
    drill.saw("rebuilt and healthy, the volume untouched, the quorum whole")


def test_master_destroyed_and_rebuilt_without_its_data_volume(lab: KeptLab, drill: Drill) -> None:
    write_znode(lab, "master-1", "/without-volume", "kept")
    says(lab, "master-3", "sh", "-c", f"echo mine >{MARK}")
    drill.breaks(
        "master-3's machine and its data volume are destroyed",
        "a new machine formats the new, empty volume, joins, and gets everything from the other two",
    )
    lab.destroy("master-3", keep_data=False)
    quorum(lab, ("master-1", "master-2"))
    drill.saw("the other two have a quorum")
    lab.rebuild("master-3")
    lab.wait(BOOT_SECONDS)
    assert lab.run("master-3", "test", "-e", MARK).code == 1
    quorum(lab)
    assert read_znode(lab, "master-3", "/without-volume") == "kept"
    drill.saw("rebuilt on an empty volume, and it has what the others hold")


def _opened(lab: KeptLab, master: str, password: str) -> bool:
    """Whether a client with this password of the super user reads what only that user may read.

    The password is on standard input alone; a busy computer may need a second attempt.
    """
    asked = f"addauth digest super:{password}\nget {LOCKED}\nquit\n"

    def answer() -> bool | None:
        done = lab.run(master, *CLIENT, stdin=asked, timeout=LONG)
        said = f"{done.out}\n{done.err}"
        if "Insufficient permission" in said:
            return False
        return True if "kept" in said.splitlines() else None

    opened = seen(f"{master} answers", LONG, answer, lambda known: known is not None)
    return bool(opened)


def test_wrong_digest_of_the_zookeeper_super_user(lab: KeptLab, drill: Drill) -> None:
    wrong = "not-the-super-password-of-this-cluster"
    right = says(lab, "master-2", "cat", SUPER)
    lock = f"create {LOCKED} kept digest:nobody:none:cdrwa\nquit\n"
    assert lab.run("master-2", *CLIENT, stdin=lock, timeout=LONG).code == 0
    drill.breaks(
        "master-1's ZooKeeper starts with another super password than the others have; clients use both",
        "the quorum does not depend on it; a digest that is not a server's own opens nothing there; applying "
        "the node's files again brings the right one back; no log has the password",
    )
    says(lab, "master-1", "sh", "-c", f"printf %s {wrong} >{SUPER} && systemctl restart zookeeper.service")
    try:
        quorum(lab)
        drill.saw("all three in the quorum")
        assert not _opened(lab, "master-1", right)
        assert not _opened(lab, "master-2", wrong)
        assert _opened(lab, "master-2", right)
        drill.saw(
            "master-1 refuses the cluster's digest, master-2 the wrong one; the right one opens at master-2"
        )
    finally:
        says(lab, "master-1", "clustermesos-apply", "apply")
    quorum(lab)
    assert _opened(lab, "master-1", right)
    drill.saw("applied again, the right one opens at master-1 too")
    assert lab.run("master-1", "grep", "-rl", wrong, "/var/log", "/run/log").out == ""
