"""Questions that drills ask machines of a lab."""

from __future__ import annotations

import time
from collections.abc import Callable

from constructs_lib.lab.keeper import KeptLab

MASTERS = ("master-1", "master-2", "master-3")
OPEN = 'exec 3<>"/dev/tcp/$1/$2"'


def until(what: str, seconds: float, attempt: Callable[[], bool]) -> None:
    """Ask until it is so; fails after `seconds` with what was waited for."""
    end = time.monotonic() + seconds
    while not attempt():
        assert time.monotonic() < end, f"after {seconds:g} s still not so: {what}"
        time.sleep(0.5)


def reaches(lab: KeptLab, source: str | None, address: str, port: int) -> bool:
    """Whether a TCP connection from a machine (or the router) to a port opens within 3 seconds."""
    done = lab.reach(source, "timeout", "3", "bash", "-c", OPEN, "bash", address, str(port))
    return done.code == 0


def zookeeper_mode(lab: KeptLab, master: str) -> str:
    """What the master's ZooKeeper says it is: leader, follower, or nothing."""
    ask = 'exec 3<>/dev/tcp/127.0.0.1/2181; echo srvr >&3; sed -n "s/^Mode: //p" <&3'
    return lab.run(master, "timeout", "5", "bash", "-c", ask).out.strip()


def zookeeper_modes(lab: KeptLab) -> dict[str, str]:
    """Mode by master, of those that answer."""
    on = [state.name for state in lab.states() if state.on and state.name in MASTERS]
    modes = {master: zookeeper_mode(lab, master) for master in on}
    return {master: mode for master, mode in modes.items() if mode}


def has_quorum(lab: KeptLab, *, members: int = 3) -> bool:
    """Whether exactly one master leads and `members` in all take part."""
    modes = list(zookeeper_modes(lab).values())
    return modes.count("leader") == 1 and modes.count("follower") == members - 1
