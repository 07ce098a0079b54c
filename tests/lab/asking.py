"""Questions that drills ask machines of a lab."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from constructs_lib.errors import LabError
from constructs_lib.lab.keeper import KeptLab

MASTERS = ("master-1", "master-2", "master-3")
OPEN = 'exec 3<>"/dev/tcp/$1/$2"'
SECRETS = "/etc/consul.d/secrets"
JARS = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-nop.jar"
CLIENT = ("java", "-cp", JARS, "org.apache.zookeeper.ZooKeeperMain", "-server", "127.0.0.1:2181")


def until(what: str, seconds: float, attempt: Callable[[], bool]) -> None:
    """Ask until it is so; fails after `seconds` with what was waited for."""
    end = time.monotonic() + seconds
    while not attempt():
        assert time.monotonic() < end, f"after {seconds:g} s still not so: {what}"
        time.sleep(0.5)


def says(lab: KeptLab, name: str, *command: str, timeout: float = 60) -> str:
    """What a command in a machine prints; it has to succeed."""
    done = lab.run(name, *command, timeout=timeout)
    assert done.code == 0, f"{name}: {' '.join(command)}: {done.out}{done.err}"
    return done.out.strip()


def reaches(lab: KeptLab, source: str | None, address: str, port: int) -> bool:
    """Whether a TCP connection from a machine (or the router) to a port opens within 3 seconds."""
    done = lab.reach(source, "timeout", "3", "bash", "-c", OPEN, "bash", address, str(port))
    return done.code == 0


def address(lab: KeptLab, name: str) -> str:
    """The machine's planned address."""
    return str(lab.identity(name).address)


def reboot(lab: KeptLab, name: str) -> None:
    """Ask the machine to reboot, and return when its first process is another one."""
    before = lab.run(name, "touch", "/run/before-the-reboot")
    assert before.code == 0
    lab.run(name, "systemctl", "reboot")
    until(f"{name} has gone down", 120, lambda: not _has(lab, name, "/run/before-the-reboot"))


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
        return lab.run(master, "timeout", "5", "bash", "-c", ask).out.strip()
    except LabError:
        return ""


def zookeeper_modes(lab: KeptLab, masters: Sequence[str] = MASTERS) -> dict[str, str]:
    """Mode by master, of those that answer."""
    modes = {master: zookeeper_mode(lab, master) for master in masters}
    return {master: mode for master, mode in modes.items() if mode}


def leader(lab: KeptLab) -> str:
    """The master whose ZooKeeper leads."""
    return next(master for master, mode in zookeeper_modes(lab).items() if mode == "leader")


def has_quorum(lab: KeptLab, masters: Sequence[str] = MASTERS) -> bool:
    """Whether exactly one of `masters` leads and all others follow."""
    modes = list(zookeeper_modes(lab, masters).values())
    return modes.count("leader") == 1 and modes.count("follower") == len(masters) - 1


def write_znode(lab: KeptLab, master: str, path: str, value: str) -> None:
    """Make a node in ZooKeeper through this master."""
    says(lab, master, *CLIENT, "create", path, value, timeout=120)


def read_znode(lab: KeptLab, master: str, path: str) -> str:
    """What a node in ZooKeeper holds, asked at this master; a busy computer may need a second attempt."""
    said = ""

    def read() -> bool:
        nonlocal said
        done = lab.run(master, *CLIENT, "get", path, timeout=120)
        # The client tells of its connection on standard output too, sometimes after the answer.
        lines = [
            line
            for line in done.out.splitlines()
            if line and not line.startswith(("WatchedEvent", "WATCHER"))
        ]
        said = lines[-1] if lines else ""
        return done.code == 0 and bool(said)

    until(f"{master} tells {path}", 120, read)
    return said


def consul(lab: KeptLab, name: str, *words: str, token: str = "management") -> str:
    """What `consul` says on a machine, with one of its tokens."""
    return says(lab, name, "env", f"CONSUL_HTTP_TOKEN_FILE={SECRETS}/{token}", "consul", *words)


def consul_members(lab: KeptLab, at: str = "consul-1") -> dict[str, str]:
    """Member → alive, failed or left, as the Consul server sees it."""
    lines = consul(lab, at, "members").splitlines()[1:]
    return {line.split()[0]: line.split()[2] for line in lines}


def all_members_alive(lab: KeptLab) -> bool:
    """Whether Consul sees everybody; the gateway is no member, and names that a drill gave may have left."""
    members = consul_members(lab)
    return all(members.get(name) == "alive" for name in lab.names() if name != "gateway-1")
