"""The user's own OpenSSH is honoured: configuration, agent and jump host, each of them real, on loopback.

OpenSSH finds ~/.ssh/config by the user's entry in passwd, whatever HOME says: here the file that is written
includes a file of the test in its place.
"""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from constructs_lib.access.forward import Port, forwarded
from constructs_lib.access.host_keys import public_host_key
from constructs_lib.access.ssh import Answer, Ssh
from constructs_lib.access.ssh_config import Folder, Host, write
from constructs_lib.secrets.values import new_value
from tests.access.servers import ENOUGH, Server, Site, serving, wait_for_socket
from tests.conftest import need

INCLUDE = "Include ~/.ssh/config"


@dataclass
class User:
    """Somebody with a configuration of their own, and a cluster's files that name no key."""

    site: Site
    config: Path
    environ: dict[str, str] = field(default_factory=dict)

    def writes(self, *lines: str, hosts: list[Host] | None = None) -> None:
        """The user's own configuration; and the cluster's files, as `clustermesos show` writes them."""
        self.config.write_text("\n".join(lines) + "\n")
        write(hosts or self.site.hosts(), self.site.folder)
        for file in (self.site.folder.config, self.site.folder.batch_config):
            text = file.read_text()
            assert text.count(INCLUDE) == 1, text
            file.write_text(text.replace(INCLUDE, f"Include {self.config}"))

    @property
    def ssh(self) -> Ssh:
        environ = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
        return Ssh(folder=self.site.folder, environ=environ | self.environ)

    def run(self) -> Answer:
        return self.ssh.run("master-1.eu", ["echo", "in"], timeout=ENOUGH)


@pytest.fixture
def user(sshd_program: Path, user_key: Path, tmp_path: Path) -> Iterator[User]:
    accepted = public_host_key(user_key.read_text())
    # A folder without blanks: OpenSSH hands the name of its configuration on to a jump host's ssh unquoted.
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    with (
        serving(sshd_program, tmp_path / "gateway", accepted) as gateway,
        serving(sshd_program, tmp_path / "node", accepted) as node,
    ):
        yield User(Site(gateway, node, Folder(folder), user_key), tmp_path / "users_config")


@pytest.fixture
def agent(user_key: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """An ssh-agent that holds the user's key; the key's file is not named anywhere."""
    path = tmp_path / "agent"
    process = subprocess.Popen(
        [need("ssh-agent"), "-D", "-a", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    environ = {"SSH_AUTH_SOCK": str(path)}
    try:
        wait_for_socket(path, process)
        subprocess.run([need("ssh-add"), "-q", user_key], env={**os.environ, **environ}, check=True)
        yield environ
    finally:
        process.terminate()
        process.wait()


def of_the_bastion(server: Server, key: Path, folder: Path) -> list[str]:
    """How a user describes a jump host, and who is behind it."""
    known = folder / "users_known_hosts"
    known.write_text(f"bastion {server.public}\n")
    return [
        "Host gateway-1.eu",
        "  ProxyJump bastion",
        "Host bastion",
        "  HostName 127.0.0.1",
        f"  Port {server.port}",
        f"  User {getpass.getuser()}",
        "  HostKeyAlias bastion",
        f"  UserKnownHostsFile {known}",
        "Host *",
        f"  IdentityFile {key}",
    ]


def test_a_key_that_the_users_configuration_names_is_taken(user: User) -> None:
    user.writes("Host *", f"  IdentityFile {user.site.key}")
    assert user.run().out == "in\n"

    user.writes("# nothing")
    assert "no key of yours is accepted" in str(user.run().trouble)


@pytest.mark.slow
def test_keys_of_the_users_agent_open_gateway_and_node(user: User, agent: dict[str, str]) -> None:
    user.writes("# nothing")
    assert user.run().code == 255

    user.environ = agent

    answer = user.run()
    assert answer.out == "in\n", answer.trouble
    for server in (user.site.gateway, user.site.node):
        assert "Accepted publickey" in server.log.read_text()


@pytest.mark.slow
def test_the_agent_itself_is_handed_on_to_no_machine(user: User, agent: dict[str, str]) -> None:
    user.writes("Host *", "  ForwardAgent yes")
    user.environ = agent

    answer = user.ssh.run("master-1.eu", ["echo", "agent:${SSH_AUTH_SOCK:-none}"], timeout=ENOUGH)

    assert answer.out == "agent:none\n", answer.trouble


@pytest.mark.slow
def test_the_gateway_is_reached_by_the_users_jump_host_and_only_by_that(
    user: User, agent: dict[str, str], sshd_program: Path, tmp_path: Path
) -> None:
    accepted = public_host_key(user.site.key.read_text())
    user.environ = agent
    with serving(sshd_program, tmp_path / "bastion", accepted, settings=("LogLevel DEBUG1",)) as bastion:
        user.writes(*of_the_bastion(bastion, user.site.key, tmp_path))

        answer = user.run()

        assert answer.out == "in\n", answer.trouble
        log = bastion.log.read_text()
        assert "Accepted publickey" in log
        assert f"target 127.0.0.1 port {user.site.gateway.port}" in log, "the gateway is asked for there"
        assert f"port {user.site.node.port}" not in log, "the node is the gateway's to reach"
        assert_forwards(user)
    assert user.run().code == 255, "there is no way past the jump host"


def assert_forwards(user: User) -> None:
    """What the commands after a deploy do: a port behind the gateway is a socket here, by the same way."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(ENOUGH)
        port = Port("gateway-1.eu", "127.0.0.1", server.getsockname()[1])
        with (
            forwarded(user.ssh, [port]) as forwards,
            socket.socket(socket.AF_UNIX) as client,
        ):
            assert not forwards.lost
            client.connect(str(forwards.sockets[port]))
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"hello")
                assert client.recv(5) == b"hello"


def test_a_jump_host_with_another_key_than_the_user_knows_is_refused(
    user: User, sshd_program: Path, tmp_path: Path
) -> None:
    accepted = public_host_key(user.site.key.read_text())
    with serving(sshd_program, tmp_path / "bastion", accepted) as bastion:
        user.writes(*of_the_bastion(bastion, user.site.key, tmp_path))
        other = public_host_key(new_value("ssh_host_key"))
        (tmp_path / "users_known_hosts").write_text(f"bastion {other}\n")

        assert user.run().code == 255
        assert "Accepted" not in bastion.log.read_text()


def test_the_users_configuration_loosens_nothing(user: User) -> None:
    gateway, node = user.site.hosts()
    other = public_host_key(new_value("ssh_host_key"))
    user.writes(
        "Host *",
        f"  IdentityFile {user.site.key}",
        "  StrictHostKeyChecking no",
        "  UserKnownHostsFile /dev/null",
        "  BatchMode no",
        hosts=[Host(**{**vars(gateway), "host_key": other}), node],
    )

    assert user.run().code == 255
    assert "Accepted" not in user.site.gateway.log.read_text()
