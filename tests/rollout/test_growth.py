"""Three masters to five, with real ZooKeeper servers from the rendered files: the order that keeps a quorum.

Only addresses and folders are rewritten. What is proved is the order of docs/nodes-apply.md: the two new
servers first, with all five in their list, then the old ones, followers before the leader.
"""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from constructs_lib.components.model import Role
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.roll.gate import read_mode
from constructs_lib.roll.quorum import ensemble_trouble
from constructs_lib.spec.model import ClusterSpec
from scripts.embedded_aws import free_port
from tests.nodes.clusters import WHOLE

pytestmark = pytest.mark.slow
PATIENCE = 240.0
"""Seconds; a server of five on a busy machine needs ten."""


def configurations(count: int) -> dict[int, str]:
    """Server id → the rendered zoo.cfg of a site with that many masters."""
    site = WHOLE["sites"]["eu"] | {"masters": {"count": count}}  # type: ignore[index]
    planned = plan(ClusterSpec.model_validate(WHOLE | {"sites": {"eu": site}})).site("eu")
    return {
        node.number: render(planned, node).file("/etc/zookeeper/zoo.cfg").content
        for node in planned.nodes_of(Role.MASTER)
    }


class Servers:
    """ZooKeeper servers on this machine; each is started from the configuration it is given."""

    def __init__(self, folder: Path, jars: str) -> None:
        self.folder, self.classpath = folder, f"{folder}:{jars}"
        self.clients = {number: free_port() for number in range(1, 6)}
        self.peers = {
            number: f"127.0.0.1:{free_port()}:{free_port()};127.0.0.1:{port}"
            for number, port in self.clients.items()
        }
        self.running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, number: int, configuration: str) -> None:
        data = self.folder / str(number)
        data.mkdir(exist_ok=True)
        (data / "myid").write_text(f"{number}\n")
        text = re.sub(
            r"(?m)^server\.(\d)=.*$",
            lambda found: f"server.{found[1]}={self.peers[int(found[1])]}",
            configuration,
        )
        text = text.replace("dataDir=/srv/data/zookeeper", f"dataDir={data}")
        text = re.sub(
            r"(?m)^(admin.serverPort|metricsProvider.httpPort)=\d+$", lambda f: f"{f[1]}={free_port()}", text
        )
        (self.folder / f"{number}.cfg").write_text(text)
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        command = ["java", "-Xmx96m", "-cp", self.classpath, main, str(self.folder / f"{number}.cfg")]
        with (self.folder / f"{number}.log").open("ab") as log:
            self.running[number] = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def stop(self, number: int) -> None:
        server = self.running.pop(number)
        server.terminate()
        server.wait(timeout=PATIENCE)

    def mode(self, number: int) -> str | None:
        try:
            with socket.create_connection(("127.0.0.1", self.clients[number]), timeout=2) as server:
                server.sendall(b"srvr")
                return read_mode(b"".join(iter(lambda: server.recv(4096), b"")).decode())
        except OSError:
            return None

    def modes(self) -> dict[str, str | None]:
        return {str(number): self.mode(number) for number in self.running}

    def wait_for_all(self) -> None:
        """What the gate between two steps asks for: one leader, and everybody else follows."""
        self.wait(lambda: ensemble_trouble(self.modes()) is None)

    def wait(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not happened():
            logs = "\n".join((self.folder / f"{n}.log").read_text()[-1500:] for n in self.running)
            assert time.monotonic() < end, f"modes {self.modes()}\n{logs}"
            time.sleep(0.3)

    def leader(self) -> int:
        return next(number for number in self.running if self.mode(number) == "leader")

    def client(self, number: int, commands: str) -> str:
        main = "org.apache.zookeeper.ZooKeeperMain"
        command = ["java", "-cp", self.classpath, main, "-server", f"127.0.0.1:{self.clients[number]}"]
        return subprocess.run(
            command, input=commands, capture_output=True, text=True, check=False, timeout=PATIENCE
        ).stdout


@pytest.fixture
def servers(zookeeper_jars: str, tmp_path: Path) -> Iterator[Servers]:
    found = Servers(tmp_path, zookeeper_jars)
    yield found
    for number in list(found.running):
        found.stop(number)


def test_new_servers_first_then_followers_then_the_leader_keeps_a_quorum_all_the_way(
    servers: Servers,
) -> None:
    three, five = configurations(3), configurations(5)
    for number in (1, 2, 3):
        servers.start(number, three[number])
    servers.wait_for_all()
    servers.wait(lambda: "before" in servers.client(1, "create /kept before\nget /kept\n").splitlines())

    for number in (4, 5):
        servers.start(number, five[number])
        servers.wait_for_all()

    servers.wait(lambda: "leader" in servers.modes().values())
    leader = servers.leader()
    assert leader in (1, 2, 3)
    for number in [number for number in (1, 2, 3) if number != leader] + [leader]:
        servers.stop(number)
        # Without this one the rest still decides.
        servers.wait(lambda: "leader" in servers.modes().values())
        servers.start(number, five[number])
        servers.wait_for_all()

    assert len(servers.modes()) == 5
    servers.wait(lambda: "before" in servers.client(4, "get /kept\n"))
    # A quorum of five it is now: two may go.
    servers.stop(4)
    servers.stop(5)
    servers.wait_for_all()
