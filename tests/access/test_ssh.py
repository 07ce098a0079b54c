"""Real OpenSSH on loopback: a jump host and a node behind it, each an sshd with a host key of its own."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from constructs_lib.access.host_keys import public_host_key
from constructs_lib.access.ssh import Answer, Ssh
from constructs_lib.access.ssh_config import Folder, Host, write
from constructs_lib.secrets.values import new_value
from scripts.embedded_aws import free_port
from tests.conftest import need

ENOUGH = 120.0
"""Seconds for one login on a busy machine."""


@dataclass(frozen=True)
class Server:
    """An sshd; `public` is its host key."""

    port: int
    public: str
    log: Path


@pytest.fixture(scope="module")
def sshd_program() -> Path:
    return need("sshd")


@pytest.fixture(scope="module")
def user_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("user") / "id_ed25519"
    file.write_text(new_value("ssh_host_key"))
    file.chmod(0o600)
    return file


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


@pytest.fixture
def site(sshd_program: Path, user_key: Path, tmp_path: Path) -> Iterator[Site]:
    accepted = public_host_key(user_key.read_text())
    with (
        serving(sshd_program, tmp_path / "gateway", accepted) as gateway,
        serving(sshd_program, tmp_path / "node", accepted) as node,
    ):
        private = tmp_path / "private %h folder"
        private.mkdir(mode=0o700)
        found = Site(gateway, node, Folder(private), user_key)
        found.write()
        yield found


def test_a_command_runs_on_the_node_through_the_gateway(site: Site) -> None:
    answer = site.run("echo", "out;", "echo", "err", ">&2;", "exit", "7")
    assert (answer.code, answer.out, answer.err, answer.trouble) == (7, "out\n", "err\n", "exit code 7: err")
    assert "Accepted publickey" in site.gateway.log.read_text()
    assert "Accepted publickey" in site.node.log.read_text()


def test_the_printed_login_works_as_it_is_printed(site: Site) -> None:
    command = ["ssh", "-F", str(site.folder.config), "master-1", "echo", "in"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.stdout == "in\n", done.stderr


def test_a_gateway_with_another_host_key_is_refused_before_anything_is_sent(site: Site) -> None:
    gateway, node = site.hosts()
    site.write(replace(gateway, host_key=public_host_key(new_value("ssh_host_key"))), node)
    answer = site.run("echo", "reached")
    assert (answer.code, answer.out) == (255, "")
    assert "secrets.json" in str(answer.trouble)
    assert "Accepted" not in site.gateway.log.read_text()


def test_a_gateway_without_a_planned_key_is_refused(site: Site) -> None:
    gateway, node = site.hosts()
    site.write(replace(gateway, host_key=None), node)
    answer = site.run()
    assert answer.code == 255
    assert "no host key is planned" in str(answer.trouble) or "host key" in str(answer.trouble)


def test_a_nodes_key_is_learnt_once_and_another_one_on_the_same_machine_is_an_alarm(
    site: Site, sshd_program: Path, tmp_path: Path
) -> None:
    assert site.run().code == 0
    assert "demo-master-1.eu-i-1" in site.folder.known_nodes.read_text()
    with serving(sshd_program, tmp_path / "other", public_host_key(site.key.read_text())) as other:
        gateway, node = site.hosts()
        site.write(gateway, replace(node, port=other.port))
        answer = site.run()
        assert answer.code == 255
        assert "someone may be in between" in str(answer.trouble)
        # The same name on another machine, as after a roll, is a first contact.
        site.write(gateway, replace(node, port=other.port, identity="demo-master-1.eu-i-2"))
        assert site.run().code == 0


def test_a_key_that_nobody_accepts_is_told_and_never_asks(site: Site, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    stranger.write_text(new_value("ssh_host_key"))
    stranger.chmod(0o600)
    site.write(key=stranger)
    answer = site.run()
    assert answer.code == 255
    assert "admin.ssh_keys" in str(answer.trouble)


def test_a_key_with_a_passphrase_fails_instead_of_asking(site: Site, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", locked], check=True)
    site.write(key=locked)
    answer = site.run()
    assert answer.code == 255
    assert "admin.ssh_keys" in str(answer.trouble)


def test_a_command_that_hangs_is_ended_in_time(site: Site) -> None:
    start = time.monotonic()
    answer = site.run("sleep", "600", timeout=3)
    assert (answer.code, answer.trouble) == (255, "ssh: no answer within 3 seconds")
    assert time.monotonic() - start < 3 + ENOUGH


def test_a_gateway_that_accepts_and_says_nothing_is_given_up(site: Site) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        gateway, node = site.hosts()
        site.write(replace(gateway, port=mute.getsockname()[1]), node)
        assert site.run(timeout=3).trouble == "ssh: no answer within 3 seconds"


def test_a_gateway_that_is_not_there_is_told(site: Site) -> None:
    gateway, node = site.hosts()
    site.write(replace(gateway, port=free_port()), node)
    assert "still be booting" in str(site.run().trouble)
