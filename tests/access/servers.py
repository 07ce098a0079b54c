"""Real OpenSSH servers on loopback, each with a host key of its own."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from constructs_lib.access.host_keys import public_host_key
from constructs_lib.access.ssh import Answer, Ssh
from constructs_lib.access.ssh_config import Folder, Host, write
from constructs_lib.secrets.values import new_value
from scripts.embedded_aws import free_port

ENOUGH = 120.0
"""Seconds for one login on a busy machine."""


@dataclass(frozen=True)
class Server:
    """An sshd; `public` is its host key."""

    port: int
    public: str
    log: Path


@contextmanager
def serving(
    program: Path,
    folder: Path,
    accepted: str,
    *,
    host_key: str | None = None,
    settings: tuple[str, ...] = (),
) -> Iterator[Server]:
    """An sshd as an ordinary process of this user, on a free port of this machine."""
    folder.mkdir(exist_ok=True)
    private = host_key or new_value("ssh_host_key")
    (folder / "host_key").write_text(private)
    (folder / "host_key").chmod(0o600)
    (folder / "authorized_keys").write_text(accepted + "\n")
    port = free_port()
    settings = (
        *settings,
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder / 'host_key'}",
        f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        f"PidFile {folder / 'pid'}",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "UsePAM no",
        # The test's folder is below a world-writable /tmp.
        "StrictModes no",
    )
    (folder / "sshd_config").write_text("\n".join(settings) + "\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    log = folder / "log"
    process = subprocess.Popen([program, "-D", "-f", folder / "sshd_config", "-E", log])
    try:
        wait_for_port(port, process, log)
        yield Server(port, public_host_key(private), log)
    finally:
        process.terminate()
        process.wait()


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + ENOUGH
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def wait_for_socket(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Until somebody listens at a Unix socket."""
    end = time.monotonic() + ENOUGH
    while time.monotonic() < end:
        assert process.poll() is None, path
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(path)


@dataclass
class Site:
    """The gateway and master-1 behind it, with the files that ssh reads."""

    gateway: Server
    node: Server
    folder: Folder
    key: Path

    def hosts(self) -> list[Host]:
        user = getpass.getuser()
        return [
            Host(
                names=("gateway-1.eu",),
                address="127.0.0.1",
                port=self.gateway.port,
                user=user,
                identity="demo-gateway-1.eu",
                host_key=self.gateway.public,
            ),
            Host(
                names=("master-1.eu", "master-1"),
                address="127.0.0.1",
                port=self.node.port,
                user=user,
                identity="demo-master-1.eu-i-1",
                via="gateway-1.eu",
            ),
        ]

    def write(self, *hosts: Host, key: Path | None = None) -> None:
        write(hosts or self.hosts(), self.folder, identity_file=key or self.key)

    def run(self, *words: str, host: str = "master-1.eu", timeout: float = ENOUGH) -> Answer:
        return Ssh(folder=self.folder).run(host, words or ("true",), timeout=timeout)
