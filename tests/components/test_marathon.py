"""What Marathon is started with; the script that completes its secrets is run for real."""

from __future__ import annotations

from pathlib import Path

from constructs_lib.components.model import Role
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.double import Log
from constructs_lib.simulator.marathon import read_settings
from constructs_lib.spec.model import ClusterSpec
from tests.components.on_node import Root
from tests.nodes.clusters import WHOLE, site

HOSTS = "10.20.16.11:2181,10.20.80.12:2181,10.20.144.13:2181"


def master(case: str = "whole") -> NodeFiles:
    planned = site(case)
    return render(planned, planned.nodes_of(Role.MASTER)[0])


def environment(files: NodeFiles) -> dict[str, str]:
    lines = files.file("/etc/marathon/marathon.env").content.splitlines()
    return dict(line.split("=", 1) for line in lines)


def unit(files: NodeFiles) -> str:
    return files.file("/etc/systemd/system/marathon.service").content


def test_it_finds_the_leading_master_through_all_zookeepers_and_logs_in() -> None:
    found = environment(master())

    assert found["MARATHON_MASTER"] == f"zk://{HOSTS}/mesos"
    assert found["MARATHON_MESOS_AUTHENTICATION"] == ""
    assert found["MARATHON_MESOS_AUTHENTICATION_PRINCIPAL"] == "marathon"
    assert found["MARATHON_MESOS_AUTHENTICATION_SECRET_FILE"] == "/run/marathon/secret"


def test_the_others_and_mesos_reach_it_at_its_planned_address() -> None:
    address = str(site("whole").nodes_of(Role.MASTER)[0].address)
    found = environment(master())

    assert found["MARATHON_HOSTNAME"] == found["LIBPROCESS_IP"] == address
    assert found["LIBPROCESS_PORT"] == "8090"
    rules = {(rule.port_name, rule.source) for rule in site("whole").traffic_to(Role.MASTER)}
    assert ("scheduler", Role.MASTER) in rules


def test_the_heap_is_bounded_by_the_machines_memory() -> None:
    assert environment(master())["JAVA_OPTS"] == "-Xmx1365m"
    assert environment(master("small"))["JAVA_OPTS"] == "-Xmx682m"


def test_no_password_is_asked_at_its_port_since_it_would_write_it_to_its_log() -> None:
    assert not any("HTTP_CREDENTIALS" in name for name in environment(master()))
    reached = {rule.source for rule in site("whole").traffic_to(Role.MASTER) if rule.port == 8080}
    assert reached == {Role.MASTER, Role.CONSUL, Role.GATEWAY}


def preinstalled() -> NodeFiles:
    software = {"components": {"marathon": {"source": "preinstalled"}, "chronos": {"source": "preinstalled"}}}
    planned = plan(ClusterSpec.model_validate(WHOLE | {"software": software})).site("eu")
    return render(planned, planned.nodes_of(Role.MASTER)[0])


def test_a_machine_that_brings_it_along_needs_no_image() -> None:
    for name in ("marathon", "chronos"):
        text = preinstalled().file(f"/etc/systemd/system/{name}.service").content
        assert f"ExecStart=/usr/bin/{name}" in text
        assert "docker" not in text
    assert "User=marathon\nGroup=marathon\nEnvironmentFile=-/run/marathon/env\n" in unit(preinstalled())


def test_a_reboot_needs_no_registry() -> None:
    assert "docker pull" not in unit(master())
    assert "Restart=always\n" in unit(master())
    assert "StartLimitIntervalSec=0\n" in unit(master())


def test_the_node_completes_secret_and_address_in_files_of_roots_alone(tmp_path: Path) -> None:
    node = Root(tmp_path)
    node.at("/run/marathon").mkdir(parents=True)
    node.put("/etc/marathon/zookeeper-password", "Zoo_1")
    node.put("/etc/marathon/mesos-password", "mesos-1\n")

    done = node.complete(master(), "marathon.service")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # A newline at its end would be a part of the secret.
    assert node.at("/run/marathon/secret").read_bytes() == b"mesos-1"
    completed = node.at("/run/marathon/env").read_text()
    assert f"\nMARATHON_ZK=zk://marathon:Zoo_1@{HOSTS}/marathon\n" in completed
    assert "@@" not in completed
    assert {path.name for path in node.at("/run/marathon").iterdir()} == {"secret", "env"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in node.at("/run/marathon").iterdir())


def test_the_double_of_marathon_which_refuses_what_it_would_takes_its_environment(tmp_path: Path) -> None:
    node = Root(tmp_path)
    node.at("/run/marathon").mkdir(parents=True)
    node.put("/etc/marathon/zookeeper-password", "Zoo_1")
    node.put("/etc/marathon/mesos-password", "mesos-1")
    node.complete(master(), "marathon.service")
    lines = node.at("/run/marathon/env").read_text().splitlines()
    environ = dict(line.split("=", 1) for line in lines)
    environ["MARATHON_MESOS_AUTHENTICATION_SECRET_FILE"] = str(node.at("/run/marathon/secret"))

    settings = read_settings([], environ, Log("marathon"))

    assert (settings.zk.user, settings.zk.password, settings.zk.path) == ("marathon", "Zoo_1", "/marathon")
    assert settings.zk.servers == HOSTS
    assert settings.hostname == environ["LIBPROCESS_IP"]
    assert settings.port == 8080
    assert settings.flags["mesos_authentication"] is True


def test_the_image_runs_as_nobody_who_gets_the_secret_and_nothing_else() -> None:
    assert "ExecStartPre=+/usr/bin/chown nobody /run/marathon/secret\n" in unit(master())
    assert "--volume /run/marathon/secret:/run/marathon/secret:ro" in unit(master())
    assert "--env-file /run/marathon/env" in unit(master())


def test_a_password_that_would_change_the_address_is_refused_and_not_shown(tmp_path: Path) -> None:
    node = Root(tmp_path)
    node.at("/run/marathon").mkdir(parents=True)
    node.put("/etc/marathon/zookeeper-password", "a@b")
    node.put("/etc/marathon/mesos-password", "mesos-1")

    done = node.complete(master(), "marathon.service")

    assert done.returncode == 1
    assert "/etc/marathon/zookeeper-password: expected letters, digits" in done.stderr
    assert "a@b" not in done.stderr
    assert list(node.at("/run/marathon").iterdir()) == []
