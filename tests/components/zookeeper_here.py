"""Three real ZooKeeper servers from three masters' zoo.cfg; only addresses and folders are rewritten."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from constructs_lib.components.model import Role
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from scripts.embedded_aws import free_port
from tests.nodes.clusters import site

PASSWORD = "not-a-real-password"
PATIENCE = 180
"""Seconds that three servers may take on a busy machine."""
QUORUM = ["follower", "follower", "leader"]


def masters(case: str = "whole") -> list[NodeFiles]:
    planned = site(case)
    return [render(planned, node) for node in planned.nodes_of(Role.MASTER)]


class Ensemble:
    """Three servers on this machine, each from the files of one master."""

    def __init__(self, folder: Path, jars: str) -> None:
        self.folder = folder
        self.classpath = f"{folder}:{jars}"
        self.clients = [free_port() for _ in range(3)]
        self.metrics = [free_port() for _ in range(3)]
        self.servers: dict[int, subprocess.Popen[bytes]] = {}
        peers = [f"127.0.0.1:{free_port()}:{free_port()};127.0.0.1:{port}" for port in self.clients]
        for number, files in enumerate(masters(), 1):
            data = folder / str(number)
            data.mkdir()
            (data / "myid").write_text(files.file("/srv/data/zookeeper/myid").content)
            (folder / f"{number}.cfg").write_text(self.on_loopback(files, number, peers))

    def on_loopback(self, files: NodeFiles, number: int, peers: list[str]) -> str:
        text = files.file("/etc/zookeeper/zoo.cfg").content
        text = re.sub(
            r"(?m)^server\.(\d)=.*$", lambda found: f"server.{found[1]}={peers[int(found[1]) - 1]}", text
        )
        text = text.replace("dataDir=/srv/data/zookeeper", f"dataDir={self.folder / str(number)}")
        text = text.replace("admin.serverPort=8081", f"admin.serverPort={free_port()}")
        text = text.replace("httpPort=7000", f"httpPort={self.metrics[number - 1]}")
        digest = base64.b64encode(hashlib.sha1(f"super:{PASSWORD}".encode()).digest()).decode()
        return f"{text}DigestAuthenticationProvider.superDigest=super:{digest}\n"

    def start(self, number: int) -> None:
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        command = ["java", "-Xmx128m", "-cp", self.classpath, main, str(self.folder / f"{number}.cfg")]
        with (self.folder / f"{number}.log").open("ab") as log:
            self.servers[number] = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def stop(self, number: int) -> None:
        server = self.servers.pop(number)
        server.terminate()
        try:
            server.wait(timeout=60)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(timeout=60)

    def mode(self, number: int) -> str | None:
        try:
            with socket.create_connection(("127.0.0.1", self.clients[number - 1]), timeout=2) as server:
                server.sendall(b"srvr")
                answer = b"".join(iter(lambda: server.recv(4096), b"")).decode()
        except OSError:
            return None
        return next((line.split()[1] for line in answer.splitlines() if line.startswith("Mode:")), None)

    def modes(self) -> list[str]:
        return sorted(mode for number in self.servers if (mode := self.mode(number)))

    def wait(self, what: str, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not happened():
            logs = "\n".join((self.folder / f"{n}.log").read_text()[-1500:] for n in self.servers)
            assert time.monotonic() < end, f"waited {PATIENCE} s for {what}; modes {self.modes()}\n{logs}"
            time.sleep(0.1)


@contextmanager
def running_ensemble(folder: Path, jars: str) -> Iterator[Ensemble]:
    """All three, with a quorum."""
    ensemble = Ensemble(folder, jars)
    try:
        for number in (1, 2, 3):
            ensemble.start(number)
        ensemble.wait("a leader and two followers", lambda: ensemble.modes() == QUORUM)
        yield ensemble
    finally:
        for number in list(ensemble.servers):
            ensemble.stop(number)
