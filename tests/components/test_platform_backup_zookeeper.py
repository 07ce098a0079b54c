"""A real ensemble's data, saved by a master's own scripts, destroyed on all of them, and restored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient

from constructs_lib.components.model import ContainerImage, Role
from constructs_lib.components.zookeeper import ZOOKEEPER
from scripts.tools import TOOLS
from tests.components.platform_backup_here import FROM_PACKAGES, REPOSITORY, Saver, files_of
from tests.components.zookeeper_here import Ensemble

pytestmark = pytest.mark.slow

JARS = TOOLS / "zookeeper"
MODES = ["follower", "follower", "leader"]
PATH = "/marathon/state/apps/e/shop"
"""Where Marathon keeps an application: its ZkStoreSerialization and ZkId, of 1.4 and later."""
SOFTWARE: dict[str, dict[str, Any]] = {"image": {}, "apt": FROM_PACKAGES}
DOCKER = """# Double of docker: runs that very command with the image's jars, below its working directory.
only() { [ "$1" = "$2" ] || { echo "docker: got $2, expected $1" >&2; exit 125; }; }
for word in run --rm --network none --log-driver none --user 0:0 --volume; do only "$word" "$1"; shift; done
mounted=$1
shift
for word in --entrypoint java {image}; do only "$word" "$1"; shift; done
for file in "$@"; do :; done
only "$file:$file:ro" "$mounted"
cd {folder}
exec java "$@"
"""


@pytest.fixture
def ensemble(zookeeper_jars: str, tmp_path: Path) -> Iterator[Ensemble]:
    found = Ensemble(tmp_path, zookeeper_jars)
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


def saver(ensemble: Ensemble, number: int, source: str) -> Saver:
    """A master's, all to one target."""
    others = {
        "/srv/data/zookeeper": str(ensemble.folder / str(number)),
        "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar": f"'{JARS}/*'",
        REPOSITORY: str(ensemble.folder / "target"),
    }
    files = files_of(Role.MASTER, number, software=SOFTWARE[source])
    node = Saver(ensemble.folder / f"node-{number}", files, "zookeeper", others)
    assert isinstance(ZOOKEEPER.software, ContainerImage)
    image = f"{ZOOKEEPER.software.name}:{ZOOKEEPER.software.version}"
    (node.folder / "lib").symlink_to(JARS)
    node.double("docker", DOCKER.replace("{image}", image).replace("{folder}", str(node.folder)))
    return node


def asked(ensemble: Ensemble, number: int, write: bytes | None = None, path: str = PATH) -> bytes:
    """What the server holds there, after it wrote that."""
    client = KazooClient(f"127.0.0.1:{ensemble.clients[number - 1]}")
    client.start(timeout=60)
    try:
        if write is not None:
            client.ensure_path(path)
            client.set(path, write)
        return bytes(client.get(path)[0])
    finally:
        client.stop()
        client.close()


def test_what_every_master_lost_comes_back_from_the_backup_of_one(ensemble: Ensemble) -> None:
    nodes = {number: saver(ensemble, number, "apt") for number in (1, 2, 3)}
    asked(ensemble, 1, b"who Marathon is")
    saved, tested = nodes[1].run("save"), nodes[1].run("test")
    assert (saved.returncode, tested.returncode) == (0, 0), saved.stderr + tested.stderr
    stop(ensemble)
    for number in nodes:
        shutil.rmtree(ensemble.folder / str(number) / "version-2")
    for node in nodes.values():
        done = node.run("restore", "zookeeper", "--of", "master-1")
        assert done.returncode == 0, done.stderr
    start(ensemble)
    assert {asked(ensemble, number) for number in nodes} == {b"who Marathon is"}
    assert asked(ensemble, 2, b"written since") == b"written since"


@pytest.mark.parametrize("source", SOFTWARE)
def test_a_copy_that_zookeeper_cannot_read_is_no_backup(ensemble: Ensemble, source: str) -> None:
    node = saver(ensemble, 1, source)
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


@pytest.mark.parametrize(
    "path",
    [
        "/mesos/json.info_0000000001",
        "/marathon/leader-curator/_c_x-latch-0000000001",
        "/marathon/state/framework-id/a/id",
        "/marathon/state/apps",
    ],
)
def test_an_ensemble_over_which_marathon_has_just_begun_anew_is_no_backup(
    ensemble: Ensemble, path: str
) -> None:
    node = saver(ensemble, 1, "image")
    asked(ensemble, 1, b"x", path)
    done = node.run("save")
    assert done.returncode == 1 and "no application of Marathon's is in it" in done.stderr
    assert node.metric("backup_success_timestamp_seconds") == 0
    assert not node.repository.exists()
    asked(ensemble, 1, b"who Marathon is")
    done = node.run("save")
    assert done.returncode == 0, done.stderr
    assert node.metric("backup_success_timestamp_seconds")
    assert [path.name for path in (node.folder / "srv/data/platform-backup").iterdir()] == ["lock"]


def test_a_server_that_runs_is_left_alone(ensemble: Ensemble) -> None:
    node = saver(ensemble, 1, "apt")
    asked(ensemble, 1, b"who Marathon is")
    assert node.run("save").returncode == 0
    node.says_that_units_run(True)
    done = node.run("restore", "zookeeper", "--force")
    assert done.returncode == 1 and "systemctl stop zookeeper" in done.stderr
    assert ensemble.mode(1) is not None
