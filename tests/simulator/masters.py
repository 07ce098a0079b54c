"""Masters' doubles for the tests of all programs that need a leading one."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from scripts.embedded_aws import free_port
from tests.simulator.conftest import Start, ZooKeeper
from tests.simulator.running import Double, wait_for

LOGIN = "mesos:top"


def private(path: Path, content: object) -> Path:
    """A file for its owner alone, JSON unless it is text."""
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return path


def master(
    start: Start,
    zookeeper: ZooKeeper,
    path: str,
    work: Path,
    *flags: str,
    login: str = LOGIN,
    quorum: int = 1,
    port: int | None = None,
) -> Double:
    """A master that takes part below `path`; with the `port` of another it has that one's work_dir."""
    port = port or free_port()
    return start(
        "mesos-master",
        f"--zk=zk://{login}@{zookeeper.servers}{path}",
        f"--quorum={quorum}",
        f"--work_dir={work / str(port)}",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--hostname=127.0.0.1",
        "--zk_session_timeout=8secs",
        *flags,
        port=port,
    )


def metrics(double: Double) -> dict[str, float]:
    return double.get("/metrics/snapshot") or {}


def leads(double: Double) -> bool:
    return metrics(double).get("master/elected") == 1.0 and double.get("/state") is not None


def leader_of(doubles: list[Double]) -> Double:
    found: list[Double] = wait_for("one leading master", lambda: [d for d in doubles if leads(d)], *doubles)
    assert len(found) == 1
    return found[0]
