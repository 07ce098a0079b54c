"""The Consul server rebuilt: from its volume, and from a snapshot where the volume is lost too."""

from __future__ import annotations

import base64

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import LONG, all_members_alive, consul, says, seen, until
from tests.lab.drill import Drill
from tests.lab.healthy import BOOT_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
SERVER = "consul-1"
SNAPSHOTS = "/srv/data/consul-snapshots"


def _holds(lab: KeptLab, key: str) -> None:
    """Wait until the key has the value that drills give to all."""
    seen(f"{key} is kept", LONG, lambda: consul(lab, SERVER, "kv", "get", key), lambda value: value == "kept")


def test_consul_server_rebuilt_from_its_volume(lab: KeptLab, drill: Drill) -> None:
    consul(lab, SERVER, "kv", "put", "drill/volume", "kept")
    drill.breaks(
        "the only Consul server's machine is destroyed, its data volume kept",
        "the new machine goes on where the old one was: keys, access lists, members",
    )
    lab.destroy(SERVER, keep_data=True)
    lab.rebuild(SERVER)
    lab.wait(BOOT_SECONDS)
    _holds(lab, "drill/volume")
    all_members_alive(lab)
    drill.saw("healthy, what it held is there, all members alive")


def test_consul_server_rebuilt_from_a_snapshot(lab: KeptLab, drill: Drill) -> None:
    consul(lab, SERVER, "kv", "put", "drill/snapshot", "kept")
    says(lab, SERVER, "consul-snapshot")
    newest = says(lab, SERVER, "sh", "-c", f"ls {SNAPSHOTS}/*.snap | tail -n 1")
    saved = says(lab, SERVER, "base64", "-w0", newest)
    assert base64.b64decode(saved)
    drill.breaks(
        "the only Consul server's machine and its data volume are destroyed; a snapshot was saved elsewhere",
        "a fresh server takes the snapshot, and members and tokens go on as before",
    )
    lab.destroy(SERVER, keep_data=False)
    lab.rebuild(SERVER)
    lab.wait(BOOT_SECONDS, SERVER)
    drill.saw("a fresh server is healthy")
    back = f"{SNAPSHOTS}/back.snap"
    done = lab.run(SERVER, "sh", "-c", f"base64 -d >{back}", stdin=saved)
    assert done.code == 0, done.err
    until("the restore", LONG, lambda: consul(lab, SERVER, "snapshot", "restore", back))
    # The server takes up its lead anew after a restore, and answers nobody for a moment.
    until(
        "policies and tokens",
        LONG,
        lambda: says(lab, SERVER, "systemctl", "restart", "consul-acl.service") == "",
    )
    _holds(lab, "drill/snapshot")
    lab.wait(BOOT_SECONDS)
    all_members_alive(lab)
    drill.saw("restored: keys are there, all members alive")
