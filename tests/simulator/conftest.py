"""A real ZooKeeper for the doubles, and a place where every double that a test started is ended."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient

from scripts.embedded_aws import free_port
from tests.simulator.running import Double, wait_for


class ZooKeeper:
    """One real server; `path()` gives each test a fresh place below which anybody may work, like the root."""

    def __init__(self, folder: Path, jars: str) -> None:
        self.port = free_port()
        self.servers = f"127.0.0.1:{self.port}"
        self._paths = 0
        (folder / "zoo.cfg").write_text(
            f"tickTime=200\nminSessionTimeout=1000\nmaxSessionTimeout=20000\ndataDir={folder}\nclientPortAddress=127.0.0.1\n"
            f"clientPort={self.port}\nadmin.enableServer=false\n4lw.commands.whitelist=srvr\nmaxClientCnxns=0\n"
        )
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        with (folder / "zookeeper.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["java", "-Xmx128m", "-cp", jars, main, str(folder / "zoo.cfg")], stdout=log, stderr=log
            )

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as server:
                server.sendall(b"srvr")
                return b"Mode: standalone" in b"".join(iter(lambda: server.recv(4096), b""))
        except OSError:
            return False

    def path(self) -> str:
        self._paths += 1
        client = KazooClient(self.servers)
        client.start(timeout=60)
        try:
            client.create(f"/test{self._paths}")
        finally:
            client.stop()
            client.close()
        return f"/test{self._paths}"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(timeout=60)


@pytest.fixture(scope="session")
def zookeeper(zookeeper_jars: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
    server = ZooKeeper(tmp_path_factory.mktemp("zookeeper"), zookeeper_jars)
    try:
        wait_for("ZooKeeper", server.answers)
        yield server
    finally:
        server.stop()


@pytest.fixture
def zk(zookeeper: ZooKeeper) -> Iterator[KazooClient]:
    """Somebody without a login."""
    client = KazooClient(zookeeper.servers)
    client.start(timeout=60)
    yield client
    client.stop()
    client.close()


Start = Callable[..., Double]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a double: `start("mesos-master", "--flag", port=…)`; all are ended with the test."""
    running: list[Double] = []

    def start_one(program: str, *arguments: str, port: int, **options: Any) -> Double:
        double = Double(program, *arguments, port=port, log=tmp_path / f"{program}-{port}.log", **options)
        running.append(double)
        return double

    yield start_one
    for double in running:
        if double.process.poll() is None:
            double.kill()
