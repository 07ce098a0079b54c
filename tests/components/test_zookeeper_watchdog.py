"""The watchdog of ZooKeeper, run as on a node; systemctl is a double, and so is the server it asks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from scripts.embedded_aws import free_port
from tests.components.zookeeper_here import masters

SYSTEMCTL = """#!/bin/sh
# Double of systemctl.
case $1 in
is-active) exit "$INACTIVE" ;;
show) echo "$ENTERED" ;;
*) echo "$*" >>"$CALLS" ;;
esac
"""


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that gives one answer and closes, as ZooKeeper does; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            # Nobody may come: then the socket is closed under it.
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(16)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]


@contextmanager
def listening(*, servers: int, there: int) -> Iterator[str]:
    """A zoo.cfg of `servers`, of which the first is this one and `there` listen for an election beside it."""
    with ExitStack() as stack:
        open_ones = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(servers)]
        lines = [
            f"server.{number}=127.0.0.1:2888:{one.getsockname()[1]};2181\n"
            for number, one in enumerate(open_ones, 1)
        ]
        for away in (open_ones[0], *open_ones[1 + there :]):
            away.close()
        yield "tickTime=2000\n" + "".join(lines)


def look(
    folder: Path,
    port: int,
    *,
    up_seconds: float = 3600,
    inactive: int = 0,
    state: str = "",
    config: str = "server.1=127.0.0.1:2888:3888;2181\n",
) -> list[str]:
    """What systemctl was asked to change."""
    (folder / "zoo.cfg").write_text(config)
    if not state:
        (folder / "myid").write_text("1\n")
    script = folder / "zookeeper-watchdog"
    script.write_text(masters()[0].file("/usr/local/libexec/zookeeper-watchdog").content)
    (folder / "systemctl").write_text(SYSTEMCTL)
    (folder / "systemctl").chmod(0o755)
    entered = int((time.clock_gettime(time.CLOCK_MONOTONIC) - up_seconds) * 1e6)
    variables = {"INACTIVE": str(inactive), "ENTERED": str(entered), "CALLS": str(folder / "calls")}
    done = subprocess.run(
        [sys.executable, str(script), state or str(folder), str(port), str(folder / "zoo.cfg")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | variables | {"PATH": f"{folder}:{os.environ['PATH']}"},
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    calls = folder / "calls"
    found = calls.read_text().splitlines() if calls.exists() else []
    assert bool(found) == ("serves nobody" in done.stdout)
    return found


NOBODY = b"This ZooKeeper instance is not currently serving requests\n"
RESTART = ["restart --no-block zookeeper.service"]


def test_one_that_serves_nobody_is_restarted(tmp_path: Path) -> None:
    with answering(NOBODY) as port:
        assert look(tmp_path, port) == RESTART


def test_one_that_does_not_even_answer_is_restarted(tmp_path: Path) -> None:
    assert look(tmp_path, free_port()) == RESTART


def test_one_that_does_not_answer_may_still_be_on_its_way_for_half_an_hour(tmp_path: Path) -> None:
    """`docker run` downloads the image while its unit is active already."""
    assert look(tmp_path, free_port(), up_seconds=1790) == []


@pytest.mark.parametrize(
    ("servers", "there", "calls"), [(3, 0, []), (3, 1, RESTART), (5, 1, []), (5, 2, RESTART)]
)
def test_one_that_serves_nobody_is_restarted_only_while_enough_others_are_there(
    tmp_path: Path, servers: int, there: int, calls: list[str]
) -> None:
    with listening(servers=servers, there=there) as config, answering(NOBODY) as port:
        assert look(tmp_path, port, config=config) == calls


@pytest.mark.parametrize("mode", ["leader", "follower", "standalone"])
def test_one_that_serves_is_left_alone(tmp_path: Path, mode: str) -> None:
    with answering(f"Zookeeper version: 3.9\nMode: {mode}\n".encode()) as port:
        assert look(tmp_path, port) == []


def test_one_that_has_just_started_is_left_alone_while_a_quorum_forms(tmp_path: Path) -> None:
    with answering(NOBODY) as port:
        assert look(tmp_path, port, up_seconds=590) == []


def test_one_that_is_stopped_is_left_alone(tmp_path: Path) -> None:
    with answering(NOBODY) as port:
        assert look(tmp_path, port, inactive=3) == []


@pytest.mark.root
def test_a_full_disk_is_not_cured_by_a_restart(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "full", str(full)], check=False).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        with answering(NOBODY) as port:
            assert look(tmp_path, port, state=str(full)) == []
    finally:
        subprocess.run(["umount", str(full)], check=True)
