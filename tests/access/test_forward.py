"""Forwards through a real gateway, to real ports on loopback."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.access.forward import Port, forwarded
from constructs_lib.access.ssh import Ssh, end
from scripts.embedded_aws import free_port
from tests.access.servers import ENOUGH, Site
from tests.lab.asking import until


def listener() -> tuple[socket.socket, int]:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server, server.getsockname()[1]


def test_ports_behind_two_logins_are_sockets_that_only_this_user_enters(site: Site) -> None:
    one, first = listener()
    two, second = listener()
    ports = [Port("gateway-1.eu", "127.0.0.1", first), Port("master-1.eu", "127.0.0.1", second)]
    with one, two:
        with forwarded(Ssh(folder=site.folder), ports) as forwards:
            sockets = forwards.sockets
            assert not forwards.lost
            for port, server in zip(ports, (one, two), strict=True):
                path = sockets[port]
                assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(str(path))
                    server.settimeout(ENOUGH)
                    connection, _ = server.accept()
                    connection.sendall(b"hello")
                    assert client.recv(5) == b"hello"
                    connection.close()
        assert not any(path.exists() or path.parent.exists() for path in sockets.values())


def test_a_forward_whose_ssh_ended_is_there_again_at_the_same_socket(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = Ssh.start

    def noted(self: Ssh, *words: Any, **also: Any) -> subprocess.Popen[bytes]:
        started.append(start(self, *words, **also))
        return started[-1]

    monkeypatch.setattr(Ssh, "start", noted)
    monkeypatch.setattr("constructs_lib.access.forward._PAUSE", 0.05)
    server, number = listener()
    port = Port("gateway-1.eu", "127.0.0.1", number)
    with server, forwarded(Ssh(folder=site.folder), [port]) as forwards:
        for ended in range(2):
            # As it does by itself where the network is gone for longer than it waits.
            end(started[ended])
            until("the forward is there again", ENOUGH, lambda: reached(forwards.sockets[port], server))
    assert len(started) == 3
    assert all(one.poll() is not None for one in started)
    assert not forwards.sockets[port].parent.exists()


def reached(path: Path, server: socket.socket) -> bool:
    server.settimeout(1)
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
            server.accept()[0].close()
        except OSError:
            return False
    return True


def test_a_machine_that_is_down_takes_only_its_own_ports_away(site: Site) -> None:
    server, port = listener()
    ports = [Port("gateway-1.eu", "127.0.0.1", port), Port("master-1.eu", "127.0.0.1", port)]
    gateway, node = site.hosts()
    site.write(gateway, replace(node, port=free_port()))
    with server, forwarded(Ssh(folder=site.folder), ports) as forwards:
        assert set(forwards.sockets) == {ports[0]}
        assert forwards.lost["master-1.eu"].startswith("ssh: ")


def test_a_login_that_fails_is_told_with_what_to_do_and_leaves_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gateway, node = site.hosts()
    site.write(replace(gateway, host_key=None), node)
    with forwarded(Ssh(folder=site.folder), [Port("gateway-1.eu", "127.0.0.1", 9)]) as forwards:
        assert "host key" in forwards.lost["gateway-1.eu"]
        assert not forwards.sockets
    assert list(tmp_path.glob("cm-*")) == []


@pytest.mark.slow
def test_a_gateway_that_says_nothing_is_given_up(site: Site) -> None:
    mute, port = listener()
    gateway, node = site.hosts()
    site.write(replace(gateway, port=port), node)
    with (
        mute,
        forwarded(Ssh(folder=site.folder), [Port("gateway-1.eu", "127.0.0.1", 9)], ready=1) as forwards,
    ):
        assert forwards.lost == {"gateway-1.eu": "ssh: no login within 1 seconds"}


@pytest.mark.slow
def test_the_forward_ends_with_the_process_that_wanted_it_even_when_that_is_killed(site: Site) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from constructs_lib.access.forward import Port, forwarded\n"
        "from constructs_lib.access.ssh import Ssh\n"
        "from constructs_lib.access.ssh_config import Folder\n"
        "ssh, port = Ssh(folder=Folder(Path(sys.argv[1]))), Port('gateway-1.eu', '127.0.0.1', 9)\n"
        "with forwarded(ssh, [port]) as found:\n"
        "    print(*found.sockets.values(), flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(site.folder.path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    path = process.stdout.readline().strip()
    ends = time.monotonic() + ENOUGH
    assert path
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    while time.monotonic() < ends:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(path)
            except OSError:
                break
        time.sleep(0.05)
    else:
        raise AssertionError("the forward is still there")
