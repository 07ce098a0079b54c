"""Real ZooKeeper servers started from the rendered zoo.cfg; only addresses and folders are rewritten."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from constructs_lib.components.model import ResolvedSoftware, Role
from constructs_lib.components.zookeeper import ZOOKEEPER
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.components.zookeeper_here import PASSWORD, PATIENCE, Ensemble, masters, running_ensemble
from tests.nodes.clusters import WHOLE
from tests.nodes.node import Node


@pytest.fixture(scope="module")
def ensemble(zookeeper_jars: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ensemble]:
    with running_ensemble(tmp_path_factory.mktemp("ensemble"), zookeeper_jars) as found:
        yield found


def settings(files: NodeFiles) -> dict[str, str]:
    lines = files.file("/etc/zookeeper/zoo.cfg").content.splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_every_server_lists_the_same_quorum_by_planned_address() -> None:
    quorums = [
        {key: v for key, v in settings(files).items() if key.startswith("server.")} for files in masters()
    ]

    assert quorums[0] == quorums[1] == quorums[2]
    assert list(quorums[0]) == ["server.1", "server.2", "server.3"]
    assert all(re.fullmatch(r"10\.20\.\d+\.\d+:2888:3888;2181", value) for value in quorums[0].values())


def test_each_server_has_its_own_id_and_a_single_one_needs_no_quorum() -> None:
    assert [files.file("/srv/data/zookeeper/myid").content for files in masters()] == ["1\n", "2\n", "3\n"]
    assert settings(masters("small")[0])["standaloneEnabled"] == "true"
    assert settings(masters()[0])["standaloneEnabled"] == "false"


def test_no_comment_follows_a_value_in_the_properties_file() -> None:
    assert all("#" not in value for files in masters() for value in settings(files).values())


def test_the_heap_follows_the_machines_memory() -> None:
    assert "ZK_SERVER_HEAP=2048 " in masters()[0].file("/etc/systemd/system/zookeeper.service").content
    assert "ZK_SERVER_HEAP=1024 " in masters("small")[0].file("/etc/systemd/system/zookeeper.service").content


def test_the_super_users_password_is_in_no_rendered_file_and_on_no_command_line() -> None:
    for files in masters():
        assert "/etc/zookeeper/super-password" in {secret.path for secret in files.secrets}
        unit = files.file("/etc/systemd/system/zookeeper.service").content
        assert "super" not in unit.lower()


def test_from_packages_java_runs_it_and_the_provider_that_debian_lacks_is_left_out() -> None:
    software = {"zookeeper": {"source": "apt"}}
    planned = plan(ClusterSpec.model_validate(WHOLE | {"software": {"components": software}})).site("eu")
    files = render(planned, planned.nodes_of(Role.MASTER)[0])
    unit = files.file("/etc/systemd/system/zookeeper.service").content

    assert "ExecStart=/usr/bin/java -Xmx2048m" in unit
    assert "docker" not in unit
    assert not any(key.startswith("metricsProvider") for key in settings(files))
    assert planned.software["zookeeper"] == ResolvedSoftware(
        source="apt", version=None, packages=ZOOKEEPER.apt_names
    )


def health(ensemble: Ensemble, number: int) -> subprocess.CompletedProcess[str]:
    """What the node's own program says of the server, whose port here is another one."""
    [stage] = [stage for stage in masters()[number - 1].stages if stage.component == "zookeeper"]
    checks = [
        {**check, "port": ensemble.clients[number - 1]} for check in stage.checks if isinstance(check, dict)
    ]
    node = Node(Path(tempfile.mkdtemp(dir=ensemble.folder)))
    node.send({}, stages=[{"component": "zookeeper", "units": [], "seconds": 1, "checks": checks}])
    node.apply()
    return node.apply("health")


def is_healthy(ensemble: Ensemble, number: int) -> bool:
    return '"healthy": true' in health(ensemble, number).stdout


@pytest.mark.slow
def test_the_quorum_forms_and_the_nodes_own_health_check_says_so(ensemble: Ensemble) -> None:
    for number in (1, 2, 3):
        ensemble.wait("health", partial(is_healthy, ensemble, number))
        assert health(ensemble, number).returncode == 0


def metrics(ensemble: Ensemble, number: int) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{ensemble.metrics[number - 1]}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


@pytest.mark.slow
def test_prometheus_finds_the_metrics(ensemble: Ensemble) -> None:
    text = metrics(ensemble, 1)
    assert "\nznode_count " in text and "\nnum_alive_connections " in text


@pytest.mark.slow
def test_zookeeper_takes_the_super_users_digest_from_the_file(ensemble: Ensemble) -> None:
    """An unknown key of zoo.cfg really becomes a system property: nothing else told it the digest."""
    refused = "Insufficient permission : /locked"
    wrong = client(ensemble, "create /locked x world:anyone:r\naddauth digest super:wrong\nset /locked y\n")
    right = client(ensemble, f"addauth digest super:{PASSWORD}\nset /locked z\nget /locked\n")

    assert refused in wrong
    assert refused not in right
    assert "z" in right.splitlines()


def client(ensemble: Ensemble, commands: str) -> str:
    main = "org.apache.zookeeper.ZooKeeperMain"
    server = f"127.0.0.1:{ensemble.clients[0]}"
    command = ["java", "-cp", ensemble.classpath, main, "-server", server]
    done = subprocess.run(
        command, input=commands, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return done.stdout + done.stderr


@pytest.mark.slow
def test_the_quorum_survives_its_leader_and_takes_it_back(ensemble: Ensemble) -> None:
    ensemble.wait("a leader", lambda: "leader" in ensemble.modes())
    leader = next(number for number in (1, 2, 3) if ensemble.mode(number) == "leader")
    ensemble.stop(leader)
    ensemble.wait("a new leader", lambda: ensemble.modes() == ["follower", "leader"])
    assert health(ensemble, leader).returncode == 1

    ensemble.start(leader)
    ensemble.wait("the old leader as a follower", lambda: ensemble.mode(leader) == "follower")


@pytest.mark.slow
def test_without_a_quorum_the_health_check_fails_and_says_why(ensemble: Ensemble) -> None:
    alone, *others = sorted(ensemble.servers)
    for number in others:
        ensemble.stop(number)
    # While it gives up its part in the quorum it may not even answer.
    ensemble.wait("its own word", lambda: "not currently serving requests" in health(ensemble, alone).stdout)

    assert health(ensemble, alone).returncode == 1
    # What the alert ZooKeeperQuorumLost stands on; its other metrics go on.
    ensemble.wait("its connections", lambda: "\nnum_alive_connections " not in metrics(ensemble, alone))
    assert "\njvm_" in metrics(ensemble, alone)
    for number in others:
        ensemble.start(number)
    ensemble.wait("the quorum", lambda: ensemble.modes() == ["follower", "follower", "leader"])


@pytest.mark.slow
def test_the_script_that_completes_the_file_adds_the_digest_and_nothing_else(tmp_path: Path) -> None:
    """Run for real, below a temporary root; chown is a double, since nobody called zookeeper is here."""
    text = masters()[0].file("/usr/local/libexec/zookeeper-config").content
    for path in ("/etc/zookeeper", "/run/zookeeper", "/srv/data/zookeeper"):
        (tmp_path / path.lstrip("/")).mkdir(parents=True)
        text = text.replace(path, f"{tmp_path}{path}")
    logs = tmp_path / "srv/data/zookeeper/version-2"
    logs.mkdir()
    for name, content in {"log.1": "x", "log.2": "", "snapshot.2": "", "acceptedEpoch": ""}.items():
        (logs / name).write_text(content)
    (tmp_path / "etc/zookeeper/super-password").write_text(PASSWORD)
    (tmp_path / "etc/zookeeper/zoo.cfg").write_text("tickTime=2000\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/chown").symlink_to(shutil.which("true") or "/bin/true")
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}

    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False, env=environment)

    completed = tmp_path / "run/zookeeper/zoo.cfg"
    digest = base64.b64encode(hashlib.sha1(f"super:{PASSWORD}".encode()).digest()).decode()
    assert done.returncode == 0, done.stderr
    assert (
        completed.read_text() == f"tickTime=2000\nDigestAuthenticationProvider.superDigest=super:{digest}\n"
    )
    assert completed.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in completed.parent.iterdir()] == ["zoo.cfg"]
    # What a full disk leaves and what fails every later start; nothing else goes.
    assert sorted(path.name for path in logs.iterdir()) == ["acceptedEpoch", "log.1", "snapshot.2"]
    assert done.stdout == f"{logs}/log.2\n"
