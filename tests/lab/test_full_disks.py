"""Disks filled to the last byte and cleaned: a master's data volume, the Consul server's, an agent's root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import LONG, all_members_alive, consul, quorum, read_znode, says, seen, write_znode
from tests.lab.drill import Drill
from tests.lab.healthy import HEALTHY_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
FILL = """exec 2>/dev/null
free() { sync; df --output=avail --block-size=1 "$1" | tail -n 1 | tr -d ' '; }
# At once as long as there is much, byte by byte then.
fallocate --length "$(free "$1")" "$1/ballast-$(date +%s%N)"
for size in 1M 512; do dd if=/dev/zero bs=$size >>"$1/ballast"; done
free "$1" """
"""Again while there is room: what was promised to be written later may turn out smaller."""


@contextmanager
def full(lab: KeptLab, name: str, folder: str) -> Iterator[None]:
    """No byte is free in the file system of this folder."""
    fill = partial(says, lab, name, "sh", "-c", FILL, "sh", folder)
    try:
        seen("no byte is free", LONG, fill, lambda free: free == "0")
        yield
    finally:
        lab.run(name, "sh", "-c", f"rm -f {folder}/ballast*")


def _processes(lab: KeptLab, name: str, units: tuple[str, ...]) -> dict[str, str]:
    """The main process of each unit, 0 where it has none."""
    show = ("systemctl", "show", "--property=MainPID", "--value")
    return {unit: says(lab, name, *show, unit) for unit in units}


def _restart(lab: KeptLab, name: str, *units: str) -> None:
    """Restart them, whatever comes of it, and return when none has the process that it had."""
    before = _processes(lab, name, units)
    lab.run(name, "systemctl", "restart", "--no-block", *units)
    seen(
        f"{', '.join(units)} were restarted",
        LONG,
        lambda: _processes(lab, name, units),
        lambda now: not now.items() & before.items(),
    )


def test_disk_filled_to_the_brim_and_cleaned(lab: KeptLab, drill: Drill) -> None:
    drill.breaks(
        "master-2's data volume is filled to the last byte",
        "the other two keep the quorum; once there is room again, master-2 is healthy without a hand",
    )
    with full(lab, "master-2", "/srv/data"):
        # Snapshots and logs need room exactly when a server starts.
        says(lab, "master-2", "systemctl", "restart", "zookeeper.service")
        quorum(lab, ("master-1", "master-3"))
        write_znode(lab, "master-1", "/while-full", "kept")
        drill.saw("master-2's volume is full and its ZooKeeper restarted; the other two take writes")
    lab.wait(HEALTHY_SECONDS)
    quorum(lab)
    assert read_znode(lab, "master-2", "/while-full") == "kept"
    drill.saw("cleaned: master-2 follows and has what was written meanwhile")


def test_volume_of_the_consul_server_filled_and_cleaned(lab: KeptLab, drill: Drill) -> None:
    until_kept = partial(consul, lab, "consul-1", "kv", "get", "drill/before-full")
    consul(lab, "consul-1", "kv", "put", "drill/before-full", "kept")
    drill.breaks(
        "the data volume of the only Consul server, where the registry's images lie too, is filled to the "
        "last byte; then Consul and the registry are restarted",
        "the masters' quorum does not care; once there is room again, both are healthy without a hand, and "
        "what Consul held is there",
    )
    with full(lab, "consul-1", "/srv/data"):
        _restart(lab, "consul-1", "consul.service", "docker-registry.service")
        quorum(lab)
        write_znode(lab, "master-1", "/while-consul-is-full", "kept")
        drill.saw("the volume is full and both were restarted; ZooKeeper takes writes")
    lab.wait(HEALTHY_SECONDS)
    seen("Consul has what it held", LONG, until_kept, lambda value: value == "kept")
    all_members_alive(lab)
    drill.saw("cleaned: Consul has what it held, all members alive, the registry answers")


def test_root_disk_of_an_agent_filled_and_cleaned(lab: KeptLab, drill: Drill) -> None:
    drill.breaks(
        "the root disk of the agent is filled to the last byte, and Consul, Docker and the Mesos agent there "
        "are restarted",
        "nobody else is disturbed; once there is room again, the agent is healthy without a hand",
    )
    units = ("consul.service", "docker.service", "mesos-agent.service")
    with full(lab, "general-1", "/"):
        _restart(lab, "general-1", *units)
        quorum(lab)
        others = [name for name in lab.names() if name != "general-1"]
        lab.wait(HEALTHY_SECONDS, *others)
        health = lab.run("general-1", "clustermesos-health", "--brief", timeout=LONG).out.strip()
        drill.saw(f"full, the services restarted; healthy: {', '.join(others)}; general-1 says: {health}")
    lab.wait(HEALTHY_SECONDS)
    all_members_alive(lab)
    drill.saw("cleaned: the agent is healthy, and a member of Consul")
