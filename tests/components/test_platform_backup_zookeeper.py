"""A real ensemble's data, saved by a master's own scripts, destroyed on all of them, and restored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient

from constructs_lib.components.model import Role
from tests.components.platform_backup_here import REPOSITORY, Saver, files_of
from tests.components.test_zookeeper import JARS, Ensemble
from tests.conftest import need

pytestmark = pytest.mark.slow

MODES = ["follower", "follower", "leader"]
PATH = "/mesos/json.info_0000000001"


@pytest.fixture
def ensemble(tmp_path: Path) -> Iterator[Ensemble]:
    need("java")
    if not list(JARS.glob("zookeeper-3*.jar")):
        pytest.skip("ZooKeeper's jars are not installed: make tools")
    found = Ensemble(tmp_path, JARS)
    start(found)
    try:
        yield found
    finally:
        stop(found)


def start(ensemble: Ensemble) -> None:
    for number in (1, 2, 3):
        ensemble.start(number)
    ensemble.wait("a leader and two followers", lambda: ensemble.modes() == MODES)


def stop(ensemble: Ensemble) -> None:
    for number in list(ensemble.servers):
        ensemble.stop(number)


def saver(ensemble: Ensemble, number: int) -> Saver:
    """A master's, all to one target."""
    others = {
        "/srv/data/zookeeper": str(ensemble.folder / str(number)),
        "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar": f"'{JARS}/*'",
        REPOSITORY: str(ensemble.folder / "target"),
    }
    return Saver(ensemble.folder / f"node-{number}", files_of(Role.MASTER, number), "zookeeper", others)


def asked(ensemble: Ensemble, number: int, write: bytes | None = None) -> bytes:
    """What the server holds at PATH, after it wrote that."""
    client = KazooClient(f"127.0.0.1:{ensemble.clients[number - 1]}")
    client.start(timeout=60)
    try:
        if write is not None:
            client.ensure_path(PATH)
            client.set(PATH, write)
        return bytes(client.get(PATH)[0])
    finally:
        client.stop()
        client.close()


def test_what_every_master_lost_comes_back_from_the_backup_of_one(ensemble: Ensemble) -> None:
    nodes = {number: saver(ensemble, number) for number in (1, 2, 3)}
    asked(ensemble, 1, b"the leading master")
    saved, tested = nodes[1].run("save"), nodes[1].run("test")
    assert (saved.returncode, tested.returncode) == (0, 0), saved.stderr + tested.stderr
    stop(ensemble)
    for number in nodes:
        shutil.rmtree(ensemble.folder / str(number) / "version-2")
    for node in nodes.values():
        done = node.run("restore", "zookeeper", "--of", "master-1")
        assert done.returncode == 0, done.stderr
    start(ensemble)
    assert {asked(ensemble, number) for number in nodes} == {b"the leading master"}
    assert asked(ensemble, 2, b"written since") == b"written since"


def test_a_copy_that_zookeeper_cannot_read_is_no_backup(ensemble: Ensemble) -> None:
    node = saver(ensemble, 1)
    asked(ensemble, 1, b"x")
    stop(ensemble)
    logs = sorted((ensemble.folder / "1/version-2").glob("log.*"))
    content = bytearray(logs[-1].read_bytes())
    content[60:70] = b"\xff" * 10
    logs[-1].write_bytes(content)
    done = node.run("save")
    assert done.returncode == 1 and f"{logs[-1].name} can't be read" in done.stderr
    for path in (ensemble.folder / "1/version-2").glob("snapshot.*"):
        path.write_bytes(b"")
    done = node.run("save")
    assert done.returncode == 1 and "no snapshot that can be read" in done.stderr
    assert node.metric("backup_success_timestamp_seconds") == 0


def test_a_server_that_runs_is_left_alone(ensemble: Ensemble) -> None:
    node = saver(ensemble, 1)
    assert node.run("save").returncode == 0
    node.says_that_units_run(True)
    done = node.run("restore", "zookeeper", "--force")
    assert done.returncode == 1 and "systemctl stop zookeeper" in done.stderr
    assert ensemble.mode(1) is not None
