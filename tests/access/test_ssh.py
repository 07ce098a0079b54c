"""Real OpenSSH on loopback: a jump host and a node behind it, each an sshd with a host key of its own."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from constructs_lib.access.host_keys import public_host_key
from constructs_lib.access.ssh import end
from constructs_lib.secrets.values import new_value
from scripts.embedded_aws import free_port
from tests.access.servers import ENOUGH, Site, serving


def test_a_command_runs_on_the_node_through_the_gateway(site: Site) -> None:
    answer = site.run("echo", "out;", "echo", "err", ">&2;", "exit", "7")
    assert (answer.code, answer.out, answer.err, answer.trouble) == (7, "out\n", "err\n", "exit code 7: err")
    assert "Accepted publickey" in site.gateway.log.read_text()
    assert "Accepted publickey" in site.node.log.read_text()


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_key_with_a_passphrase_fails_instead_of_asking(site: Site, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", locked], check=True)
    site.write(key=locked)
    answer = site.run()
    assert answer.code == 255
    assert "admin.ssh_keys" in str(answer.trouble)


@pytest.mark.slow
def test_a_command_that_hangs_is_ended_in_time(site: Site) -> None:
    start = time.monotonic()
    answer = site.run("sleep", "600", timeout=3)
    assert (answer.code, answer.trouble) == (255, "ssh: no answer within 3 seconds")
    assert time.monotonic() - start < 3 + ENOUGH


@pytest.mark.slow
def test_the_number_of_an_ssh_that_has_ended_is_killed_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be another program's by then."""
    killed: list[int] = []
    monkeypatch.setattr("os.killpg", lambda group, _: killed.append(group))
    process = subprocess.Popen(["true"])
    process.wait()

    end(process)

    assert killed == []


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
