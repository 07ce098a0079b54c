"""Questions that drills ask machines of a lab."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from constructs_lib.errors import LabError, RollError
from constructs_lib.lab.keeper import KeptLab

MASTERS = ("master-1", "master-2", "master-3")
OPEN = 'exec 3<>"/dev/tcp/$1/$2"'
SECRETS = "/etc/consul/secrets"
JARS = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-nop.jar"
CLIENT = ("java", "-cp", JARS, "org.apache.zookeeper.ZooKeeperMain", "-server", "127.0.0.1:2181")
LONG = 300
"""Seconds that anything may take that a computer with nothing else to do does in a few: a bound."""
READINGS = 4
NOT_YET = (LabError, RollError, AssertionError, LookupError, ValueError)
"""What reading ends in while a machine is on its way: no answer, half of one, or somebody not in it yet."""

T = TypeVar("T")


def seen(what: str, seconds: float, read: Callable[[], T], good: Callable[[T], object] = bool) -> T:
    """Read until it is `good`, and return that; fails after `seconds` with what was read last."""
    end = time.monotonic() + seconds
    while True:
        try:
            value = read()
            if good(value):
                return value
            last = repr(value)
        except NOT_YET as error:
            last = f"{type(error).__name__}: {error}"
        assert time.monotonic() < end, f"after {seconds:g} s still not so: {what}; seen last: {last[-2000:]}"
        time.sleep(0.5)


def until(what: str, seconds: float, attempt: Callable[[], object]) -> None:
    """Ask until it is so; fails after `seconds` with what was waited for and seen last."""
    seen(what, seconds, attempt)


def stays(what: str, read: Callable[[], T], good: Callable[[T], object] = bool) -> None:
    """It is so, and is still so each of the next seconds; no answer says nothing and is asked again."""
    for reading in range(READINGS):
        value = seen(f"an answer to: {what}", LONG, read, lambda _: True)
        assert good(value), f"not so, or no longer: {what}; seen in reading {reading + 1}: {value!r}"
        time.sleep(1)


def says(lab: KeptLab, name: str, *command: str, timeout: float = LONG) -> str:
    """What a command in a machine prints; it has to succeed."""
    done = lab.run(name, *command, timeout=timeout)
    assert done.code == 0, f"{name}: {' '.join(command)}: {done.out}{done.err}"
    return done.out.strip()


def reaches(lab: KeptLab, source: str | None, address: str, port: int) -> bool:
    """Whether a TCP connection from a machine (or the router) to a port opens within 3 seconds."""
    done = lab.reach(source, "timeout", "3", "bash", "-c", OPEN, "bash", address, str(port), timeout=LONG)
    return done.code == 0


def address(lab: KeptLab, name: str) -> str:
    """The machine's planned address."""
    return str(lab.identity(name).address)


def reboot(lab: KeptLab, name: str) -> None:
    """Ask the machine to reboot, and return when its first process is another one."""
    before = lab.run(name, "touch", "/run/before-the-reboot")
    assert before.code == 0
    # The machine may be gone before it has answered.
    with contextlib.suppress(LabError):
        lab.run(name, "systemctl", "reboot")
    until(f"{name} has gone down", LONG, lambda: not _has(lab, name, "/run/before-the-reboot"))


def _has(lab: KeptLab, name: str, path: str) -> bool:
    try:
        # 1 is test's own no; anything else means that the machine is on its way down.
        return lab.run(name, "test", "-e", path, timeout=20).code != 1
    except LabError:
        return False


def zookeeper_mode(lab: KeptLab, master: str) -> str:
    """What the master's ZooKeeper says it is: leader, follower, or nothing."""
    ask = 'exec 3<>/dev/tcp/127.0.0.1/2181; echo srvr >&3; sed -n "s/^Mode: //p" <&3'
    try:
        return lab.run(master, "timeout", "10", "bash", "-c", ask).out.strip()
    except LabError:
        return ""


def zookeeper_modes(lab: KeptLab, masters: Sequence[str] = MASTERS) -> dict[str, str]:
    """Mode by master, of those that answer."""
    modes = {master: zookeeper_mode(lab, master) for master in masters}
    return {master: mode for master, mode in modes.items() if mode}


def leader(lab: KeptLab) -> str:
    """The master whose ZooKeeper leads, once all of them take part."""
    modes = quorum(lab)
    return next(master for master, mode in modes.items() if mode == "leader")


def quorum(lab: KeptLab, masters: Sequence[str] = MASTERS) -> dict[str, str]:
    """Wait until exactly one of `masters` leads and all others follow; returns the mode of each."""
    wanted = ["follower"] * (len(masters) - 1) + ["leader"]
    return seen(
        f"a quorum of {', '.join(masters)}",
        LONG,
        lambda: zookeeper_modes(lab, masters),
        lambda modes: sorted(modes.values()) == wanted,
    )


def write_znode(lab: KeptLab, master: str, path: str, value: str) -> None:
    """Make a node in ZooKeeper through this master; a busy computer may need a second attempt."""

    def write() -> bool:
        done = lab.run(master, *CLIENT, "create", path, value, timeout=LONG)
        # An attempt whose answer was lost may have made it.
        return done.code == 0 or (
            "already exists" in done.out + done.err and _get(lab, master, path) == value
        )

    until(f"{master} takes {path}", LONG, write)


def read_znode(lab: KeptLab, master: str, path: str) -> str:
    """What a node in ZooKeeper holds, asked at this master; a busy computer may need a second attempt."""
    return seen(f"{master} tells {path}", LONG, lambda: _get(lab, master, path))


def _get(lab: KeptLab, master: str, path: str) -> str:
    out = says(lab, master, *CLIENT, "get", path)
    # The client tells of its connection on standard output too, sometimes after the answer.
    lines = [line for line in out.splitlines() if line and not line.startswith(("WatchedEvent", "WATCHER"))]
    return lines[-1] if lines else ""


def consul(lab: KeptLab, name: str, *words: str, token: str = "management") -> str:
    """What `consul` says on a machine, with one of its tokens."""
    return says(lab, name, "env", f"CONSUL_HTTP_TOKEN_FILE={SECRETS}/{token}", "consul", *words)


def consul_members(lab: KeptLab, at: str = "consul-1") -> dict[str, str]:
    """Member → alive, failed or left, as the Consul server sees it."""
    lines = consul(lab, at, "members").splitlines()[1:]
    return {line.split()[0]: line.split()[2] for line in lines}


def members_of(lab: KeptLab) -> list[str]:
    """The machines that are members of Consul: the gateway is none."""
    return [name for name in lab.names() if name != "gateway-1"]


def all_members_alive(lab: KeptLab) -> None:
    """Wait until Consul sees everybody; names that a drill gave may have left."""
    seen("Consul's members are alive", LONG, lambda: not_alive(lab), lambda members: not members)


def not_alive(lab: KeptLab) -> dict[str, str | None]:
    """Machines of the lab that Consul does not call alive, with its word for each."""
    members = consul_members(lab)
    return {name: members.get(name) for name in members_of(lab) if members.get(name) != "alive"}


def resolves(lab: KeptLab, name: str, asked: str) -> None:
    """Wait until the machine resolves a name to the Consul node's address."""
    wanted = address(lab, "consul-1")
    seen(
        f"{name} resolves {asked} to {wanted}",
        LONG,
        lambda: lab.run(name, "getent", "hosts", asked).out,
        lambda found: found.split()[:1] == [wanted],
    )


def agents_of(lab: KeptLab, name: str = "general-1", at: str | None = None) -> list[dict[str, Any]]:
    """The leading Mesos master's agents of this machine (or of its address `at`) that are connected, asked
    from there.
    """
    here = at or address(lab, name)
    for master in MASTERS:
        url = f"http://{address(lab, master)}:5050/slaves"
        done = lab.run(name, "curl", "--silent", "--fail", "--location", url)
        if done.code == 0:
            slaves = json.loads(done.out)["slaves"]
            return [one for one in slaves if one["active"] and one["hostname"] == here]
    raise AssertionError(f"no master answers {name}")
