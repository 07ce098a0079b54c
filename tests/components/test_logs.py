"""Log shipping: a real rsyslogd with a rendered file, and a collector that goes away and comes back."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.components.logs import UNIT
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from scripts.embedded_aws import free_port
from tests.conftest import need
from tests.lab.asking import LONG, until
from tests.nodes.clusters import SMALL, nodes

FILE = "/etc/rsyslog.d/30-clustermesos.conf"
QUEUE = 'queue.maxDiskSpace="256m"'


def rendered(port: int) -> str:
    spec: dict[str, Any] = SMALL | {"nodes": {"logs": f"tcp://127.0.0.1:{port}"}}
    planned = plan(ClusterSpec.model_validate(spec)).site("eu")
    [text] = {render(planned, node).file(FILE).content for node in nodes(planned)}
    return text


class Collector:
    """Takes lines by TCP; `words` are the last ones of what arrived."""

    def __init__(self) -> None:
        self.port = free_port()
        self.words: list[str] = []

    def start(self) -> None:
        self.connections: list[socket.socket] = []
        self.server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self.server,), daemon=True).start()

    def _accept(self, server: socket.socket) -> None:
        # Until it is closed.
        with contextlib.suppress(OSError):
            while True:
                connection = server.accept()[0]
                self.connections.append(connection)
                threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection.makefile("r") as lines:
            for line in lines:
                self.words.append(line.split()[-1])

    def stop(self) -> None:
        for one in (self.server, *self.connections):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class Node:
    """rsyslogd as a node's distribution starts it: what it is told goes to a file, and where ours says."""

    def __init__(self, folder: Path, ours: str) -> None:
        self.folder, self.written = folder, 0
        need("rsyslogd")
        (folder / "whole.conf").write_text(
            f'global(workDirectory="{folder}")\n'
            'module(load="imuxsock" SysSock.Use="off")\n'
            f'input(type="imuxsock" Socket="{folder}/socket" RateLimit.Interval="0")\n'
            f"{ours}\n*.* {folder}/local\n"
        )

    def start(self) -> None:
        with (self.folder / "said").open("ab") as said:
            self.process = subprocess.Popen(
                ["rsyslogd", "-n", "-f", self.folder / "whole.conf", "-i", self.folder / "pid"],
                stdout=said,
                stderr=said,
            )
        until("rsyslogd listens", LONG, self._listens)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            try:
                line.connect(str(self.folder / "socket"))
            except OSError:
                return False
        return True

    def stop(self, how: str = "terminate") -> None:
        getattr(self.process, how)()
        self.process.wait(timeout=LONG)
        # What a reboot takes away.
        for name in ("socket", "pid"):
            (self.folder / name).unlink(missing_ok=True)

    def write(self, lines: int, filling: str = "") -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.connect(str(self.folder / "socket"))
            for _ in range(lines):
                line.send(f"<13>test: {filling} line-{self.written}".encode())
                self.written += 1

    def all_words(self) -> set[str]:
        return {f"line-{number}" for number in range(self.written)}

    def keeps(self) -> bool:
        """Whether all of it is in the node's own file."""
        return self.all_words() <= {
            line.split()[-1] for line in (self.folder / "local").read_text().split("\n") if line
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    made.start()
    try:
        yield made
    finally:
        made.stop()


def running(folder: Path, collector: Collector, **replaced: str) -> Node:
    """A node that has sent its first lines."""
    ours = rendered(collector.port)
    for old, new in replaced.items():
        assert old in ours
        ours = ours.replace(old, new)
    node = Node(folder, ours)
    node.start()
    node.write(3)
    arrived(node, collector)
    return node


def missing(node: Node, collector: Collector) -> set[str]:
    return node.all_words() - set(collector.words)


def arrived(node: Node, collector: Collector) -> None:
    until("every line arrives", LONG, lambda: not missing(node, collector))


@pytest.mark.slow
def test_lines_written_while_the_collector_is_away_arrive_once_it_is_back(
    tmp_path: Path, collector: Collector
) -> None:
    node = running(tmp_path, collector)
    try:
        for _ in range(2):
            collector.stop()
            node.write(2_000)
            until("the node's own file has them", LONG, node.keeps)
            assert missing(node, collector)
            collector.start()
            arrived(node, collector)
    finally:
        node.stop()


@pytest.mark.slow
@pytest.mark.parametrize(("how", "lost"), [("terminate", 1), ("kill", 11)])
def test_an_end_while_the_collector_is_away_loses_no_more_than_the_last_lines(
    how: str, lost: int, tmp_path: Path, collector: Collector
) -> None:
    """A restart loses the line that was being sent, a crash besides what the queue had not counted yet."""
    node = running(tmp_path, collector)
    try:
        collector.stop()
        node.write(300)
        until("the node's own file has them", LONG, node.keeps)
        node.stop(how)
        node.start()
        node.write(3)
        collector.start()
        until("the rest arrives", LONG, lambda: len(missing(node, collector)) <= lost)
    finally:
        node.stop()


@pytest.mark.slow
def test_a_queue_that_is_full_holds_up_no_other_log_of_the_node(tmp_path: Path, collector: Collector) -> None:
    """By its default rsyslogd waits 2 seconds for room, for every line."""
    node = running(tmp_path, collector, **{QUEUE: 'queue.maxDiskSpace="1m"'})
    try:
        collector.stop()
        node.write(20_000, "x" * 200)
        until("the node's own file has them", 60, node.keeps)
        kept = sum(path.stat().st_size for path in tmp_path.glob("clustermesos*"))
        assert 500_000 < kept < 2_000_000
    finally:
        node.stop()


def test_every_node_ships_where_it_is_asked_for_and_none_else() -> None:
    planned = plan(ClusterSpec.model_validate(SMALL)).site("eu")
    for node in nodes(planned):
        assert not any(UNIT in stage.units for stage in render(planned, node).stages)
    assert 'target="127.0.0.1" port="514" protocol="tcp"' in rendered(514)
