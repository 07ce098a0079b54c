"""Agents' doubles: what they refuse, how they come back, and that they follow the leading master."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from constructs_lib.simulator.resources import parse_attributes, parse_resources
from scripts.embedded_aws import free_port
from tests.simulator.conftest import Start, ZooKeeper
from tests.simulator.masters import leader_of, master, metrics, private
from tests.simulator.running import Double, ended, wait_for

REFUSED = json.loads((Path(__file__).parent / "refused" / "mesos-agent.json").read_text())
RESOURCES = "cpus:2;mem:1024;disk:4096;ports:[31000-32000]"


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
def test_fails_as_the_real_one_on(case: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("agent secret")
    flags = [flag.replace("{tmp}", str(tmp_path)) for flag in REFUSED[case]["flags"]]
    done = ended("mesos-agent", "--ip=127.0.0.1", f"--port={free_port()}", "--no-hostname_lookup", *flags)

    assert done.returncode == 1
    assert REFUSED[case]["says"] in done.stderr
    assert "Traceback" not in done.stderr


def agent(
    start: Start,
    master: str,
    work: Path,
    *flags: str,
    port: int | None = None,
    environ: dict[str, str] | None = None,
) -> Double:
    port = port or free_port()
    return start(
        "mesos-agent",
        f"--master={master}",
        f"--work_dir={work}",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--hostname=127.0.0.1",
        "--systemd_enable_support=false",
        "--zk_session_timeout=8secs",
        *flags,
        port=port,
        environ=environ,
    )


def registered(double: Double) -> bool:
    return metrics(double).get("slave/registered") == 1.0


@pytest.mark.slow
def test_an_agent_registers_and_does_so_again_with_the_next_leader_under_its_own_id(
    start: Start, zookeeper: ZooKeeper, tmp_path: Path
) -> None:
    path = f"{zookeeper.path()}/mesos"
    masters = [master(start, zookeeper, path, tmp_path, quorum=2) for _ in range(3)]
    leader = leader_of(masters)
    # Without a login, as agents are: the leader's entry can be read by everybody.
    double = agent(
        start,
        f"zk://{zookeeper.servers}{path}",
        tmp_path / "agent",
        f"--resources={RESOURCES}",
        "--attributes=rack:r1;zone:a",
    )
    wait_for("the registration", lambda: registered(double), double, leader)
    before = wait_for("the agent", lambda: leader.get("/slaves")["slaves"], double, leader)[0]

    leader.kill()
    new = leader_of([other for other in masters if other is not leader])
    after = wait_for("the agent at the new leader", lambda: new.get("/slaves")["slaves"], double, new)[0]

    assert before["resources"] == {
        "cpus": 2.0,
        "mem": 1024.0,
        "disk": 4096.0,
        "gpus": 0.0,
        "ports": "[31000-32000]",
    }
    assert before["attributes"] == {"rack": "r1", "zone": "a"}
    assert after["id"] == before["id"]
    wait_for("its own word", lambda: double.get("/state")["id"] == before["id"], double)
    assert double.ask("/health")[0] == 200


@pytest.mark.slow
def test_a_wrong_secret_ends_the_agent_with_mesos_words(
    start: Start, zookeeper: ZooKeeper, tmp_path: Path
) -> None:
    known = private(tmp_path / "known", {"credentials": [{"principal": "agent", "secret": "hush"}]})
    flags = (f"--credentials={known}", "--authenticate_agents")
    leader = leader_of([master(start, zookeeper, f"{zookeeper.path()}/mesos", tmp_path, *flags)])
    wrong = private(tmp_path / "wrong", {"principal": "agent", "secret": "psst"})
    right = private(tmp_path / "right", {"principal": "agent", "secret": "hush"})

    refused = agent(start, f"127.0.0.1:{leader.port}", tmp_path / "w1", f"--credential={wrong}")
    welcome = agent(start, f"127.0.0.1:{leader.port}", tmp_path / "w2", f"--credential=file://{right}")

    assert refused.ends() == 1
    assert "refused authentication" in refused.log()
    assert "psst" not in refused.log()
    wait_for("the other one's registration", lambda: registered(welcome), welcome)


class Reconfigured:
    """An agent that registered once, and its next start with other flags in the same work_dir."""

    def __init__(self, start: Start, zookeeper: ZooKeeper, tmp_path: Path) -> None:
        self.start = start
        self.work = tmp_path / "agent"
        self.leader = leader_of([master(start, zookeeper, f"{zookeeper.path()}/mesos", tmp_path)])
        self.port = free_port()
        first = self.again(f"--resources={RESOURCES}", "--attributes=rack:r1")
        wait_for("the registration", lambda: registered(first), first)
        self.id = first.get("/state")["id"]
        assert first.stop() == 0

    def again(self, *flags: str) -> Double:
        return agent(self.start, f"127.0.0.1:{self.leader.port}", self.work, *flags, port=self.port)


@pytest.fixture
def reconfigured(start: Start, zookeeper: ZooKeeper, tmp_path: Path) -> Reconfigured:
    return Reconfigured(start, zookeeper, tmp_path)


@pytest.mark.slow
def test_the_same_agent_comes_back_with_its_id(reconfigured: Reconfigured) -> None:
    again = reconfigured.again(f"--resources={RESOURCES}", "--attributes=rack:r1")
    wait_for("the registration", lambda: registered(again), again)
    assert again.get("/state")["id"] == reconfigured.id


@pytest.mark.slow
def test_other_resources_are_refused_by_default(reconfigured: Reconfigured) -> None:
    again = reconfigured.again("--resources=cpus:4;mem:1024;disk:4096", "--attributes=rack:r1")

    assert again.ends() == 1
    assert "Incompatible agent info detected" in again.log()
    assert f"rm -f {reconfigured.work}/meta/slaves/latest" in again.log()


@pytest.mark.slow
def test_additive_takes_more_of_everything(reconfigured: Reconfigured) -> None:
    more = "cpus:4;mem:2048;disk:4096;ports:[30000-32000]"
    flags = (f"--resources={more}", "--attributes=rack:r1;zone:a", "--reconfiguration_policy=additive")
    again = reconfigured.again(*flags)
    wait_for("the registration", lambda: registered(again), again)
    assert again.get("/state")["id"] == reconfigured.id


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--resources=cpus:1;mem:1024;disk:4096", "--attributes=rack:r1"), "'cpus' decreased from 2 to 1"),
        pytest.param(
            ("--resources=cpus:2;mem:1024;disk:4096;ports:[31500-32000]", "--attributes=rack:r1"),
            "not included",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            (f"--resources={RESOURCES}", "--attributes=rack:r2"),
            "attribute 'rack' changed from r1 to r2",
            marks=pytest.mark.slow,
        ),
        pytest.param((f"--resources={RESOURCES}",), "Couldn't find attribute rack", marks=pytest.mark.slow),
        pytest.param(
            (f"--resources={RESOURCES}", "--attributes=rack:r1", "--advertise_port=1"),
            "Port changed",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_additive_refuses_what_is_less_or_other(
    reconfigured: Reconfigured, flags: tuple[str, ...], says: str
) -> None:
    again = reconfigured.again(*flags, "--reconfiguration_policy=additive")

    assert again.ends() == 1
    assert says in again.log()
    assert "not permitted under `additive` policy" in again.log()


@pytest.mark.slow
def test_after_a_reboot_an_agent_that_changed_is_a_new_one(reconfigured: Reconfigured) -> None:
    (reconfigured.work / "meta" / "boot_id").write_text("another boot\n")
    again = reconfigured.again("--resources=cpus:1;mem:512;disk:4096")
    wait_for("the registration", lambda: registered(again), again)

    assert again.get("/state")["id"] != reconfigured.id
    assert "Falling back to recover as a new agent" in again.log()


def test_resources_and_attributes_are_read_in_all_their_forms() -> None:
    written = '[{"name": "cpus", "type": "SCALAR", "scalar": {"value": 4}}]'
    assert parse_resources("cpus(web):1.5; ports:[1-2, 5-5];disks:{b, a}") == {
        "cpus(web)": 1.5,
        "ports": [[1, 2], [5, 5]],
        "disks": ["a", "b"],
    }
    assert parse_resources(written) == {"cpus": 4.0}
    assert parse_attributes("rack:r1;level:10;keys:[1-9]") == {"rack": "r1", "level": 10.0, "keys": [[1, 9]]}


DOCKER = """#!/bin/sh
# Double of docker: a registry that lets in whoever has a config; Docker looks for it where these lines do.
config=${DOCKER_CONFIG:-$HOME/.docker}/config.json
echo "$HOME $*" >>"$LOG"
test -e "$config" || { echo "no basic auth credentials" >&2; exit 1; }
"""


@pytest.mark.parametrize(
    ("way", "status"), [("the home of root", 502), ("DOCKER_CONFIG", 200), ("--docker_config", 200)]
)
def test_a_tasks_image_is_pulled_with_the_sandbox_as_home_so_a_login_in_roots_is_not_read(
    start: Start, tmp_path: Path, way: str, status: int
) -> None:
    home, log, docker = tmp_path / "root", tmp_path / "log", tmp_path / "docker"
    (home / ".docker").mkdir(parents=True)
    (home / ".docker/config.json").write_text("{}")
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    flags = ['--docker_config={"auths": {}}'] if way == "--docker_config" else []
    environ = {"HOME": str(home), "LOG": str(log)}
    if way == "DOCKER_CONFIG":
        environ["DOCKER_CONFIG"] = str(home / ".docker")
    double = agent(start, "127.0.0.1:1", tmp_path / "work", f"--docker={docker}", *flags, environ=environ)
    wait_for("its word", lambda: double.get("/version"), double)

    done, said = double.ask("/double/pull", "POST", {"image": "registry.example.org/box:1"})

    assert done == status, said
    assert status == 200 or "exited with status 1; stderr='no basic auth credentials" in said
    used, _, words = log.read_text().partition(" ")
    assert words == "-H unix:///var/run/docker.sock pull registry.example.org/box:1\n"
    assert used.startswith(f"{tmp_path}/work/sandbox-")
