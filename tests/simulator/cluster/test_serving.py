"""Tasks that are real HTTP servers, and what a real Consul knows of them."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.simulator.cluster import Profile, SimulatedCluster, Task
from constructs_lib.simulator.web import ask
from tests.hooks.consul_server import ConsulServer, consul_server
from tests.simulator.cluster.conftest import Marathon

WEB: dict[str, Any] = {
    "cmd": None,
    "container": {
        "type": "DOCKER",
        "docker": {"image": "registry/shop/web:1"},
        "portMappings": [{"containerPort": 8080, "hostPort": 0}],
    },
    "networks": [{"mode": "container/bridge"}],
    "healthChecks": [{"protocol": "MESOS_HTTP", "path": "/health"}],
    "env": {"SERVICE_8080_NAME": "web", "SERVICE_8080_TAGS": "version-1,team-a"},
}


@pytest.fixture
def marathon() -> Iterator[Marathon]:
    with SimulatedCluster(serve=True) as sim:
        yield Marathon(sim)


def url(task: Task, port: int = 0) -> str:
    return f"http://{task.agent.hostname}:{task.ports[port]}"


def until(what: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not what():
        assert time.monotonic() < ends
        time.sleep(0.02)


def refuses(address: str) -> bool:
    try:
        ask(address)
    except OSError:
        return True
    return False


def test_a_connection_that_asks_for_an_upgrade_stays_and_is_cut_with_its_task(marathon: Marathon) -> None:
    marathon.deployed("/shop/web", **WEB)
    [task] = marathon.sim.tasks("/shop/web")
    with socket.create_connection((task.agent.hostname, task.ports[0]), timeout=30) as peer:
        peer.sendall(b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        assert b" 101 " in peer.recv(4096)
        peer.sendall(b"word")
        assert peer.recv(16) == b"word"

        marathon.ask("DELETE", "/apps/shop/web")
        marathon.sim.advance(10)

        with contextlib.suppress(ConnectionResetError):
            assert peer.recv(16) == b""


def test_a_task_answers_who_it_is(marathon: Marathon) -> None:
    marathon.deployed("/shop/web", instances=2, **WEB)
    first, second = marathon.sim.tasks("/shop/web")
    answers = [ask(f"{url(task)}/any")[1] for task in (first, second)]

    assert [(one["app"], one["version"], one["task"]) for one in answers] == [
        ("/shop/web", task.version, task.id) for task in (first, second)
    ]
    assert ask(url(first), "POST", b"12345")[1]["received"] == 5
    assert ask(f"{url(first)}/status/500")[0] == 500


def test_its_health_path_fails_until_its_life_says_otherwise(marathon: Marathon) -> None:
    marathon.sim.profile("/web", Profile(healthy_after=10))
    marathon.put("/web", **WEB)
    marathon.sim.advance(5)
    (task,) = marathon.sim.tasks("/web")
    assert ask(f"{url(task)}/health")[0] == 503
    marathon.sim.advance(10)
    assert ask(f"{url(task)}/health")[0] == 200
    marathon.sim.change_leader("marathon")

    assert ask(f"{url(task)}/health")[0] == 200


def test_a_killed_task_takes_no_more_connections_and_ends_its_answers(marathon: Marathon) -> None:
    marathon.sim.profile("/web", Profile(stop_seconds=5))
    marathon.deployed("/web", **WEB, taskKillGracePeriodSeconds=10)
    (task,) = marathon.sim.tasks("/web")
    said: list[int] = []
    slow = threading.Thread(target=lambda: said.append(ask(f"{url(task)}/slow?seconds=0.5")[0]))
    slow.start()
    time.sleep(0.2)
    marathon.ask("DELETE", "/apps/web")
    marathon.sim.advance(1)

    assert task.state == "TASK_KILLING"
    assert refuses(url(task))
    slow.join(timeout=30)
    assert said == [200]


def test_a_task_may_go_on_listening_for_a_while(marathon: Marathon) -> None:
    marathon.sim.profile("/web", Profile(stop_seconds=20, listens_seconds=5))
    marathon.deployed("/web", **WEB, taskKillGracePeriodSeconds=30)
    (task,) = marathon.sim.tasks("/web")
    marathon.ask("DELETE", "/apps/web")
    marathon.sim.advance(3)
    assert ask(url(task))[0] == 200
    marathon.sim.advance(3)

    assert refuses(url(task))


def test_what_is_still_answered_at_the_end_is_cut_off(marathon: Marathon) -> None:
    marathon.deployed("/web", **WEB)
    (task,) = marathon.sim.tasks("/web")
    connection = http.client.HTTPConnection(task.agent.hostname, task.ports[0], timeout=30)
    connection.request("GET", "/slow?seconds=20")
    time.sleep(0.2)
    marathon.ask("DELETE", "/apps/web")
    marathon.sim.advance(5)

    with pytest.raises((OSError, http.client.HTTPException)):
        connection.getresponse()


def test_a_port_that_somebody_else_has_is_not_tried_for_ever(marathon: Marathon) -> None:
    agent = next(iter(marathon.sim.world.agents.values()))
    other = socket.create_server((agent.hostname, 31000))
    try:
        marathon.deployed("/web", seconds=60, **WEB)
    finally:
        other.close()
    (task,) = marathon.sim.tasks("/web")

    assert task.ports == (31001,)
    assert ask(url(task))[0] == 200


class Consul:
    """What a Consul server knows."""

    def __init__(self, server: ConsulServer) -> None:
        self.server = server

    def services(self) -> dict[str, Any]:
        headers = {"X-Consul-Token": self.server.token}
        found: dict[str, Any] = ask(f"{self.server.url}/v1/agent/services", headers=headers)[1]
        return found

    def catalog(self, service: str) -> list[str]:
        headers = {"X-Consul-Token": self.server.token}
        found = ask(f"{self.server.url}/v1/catalog/service/{service}", headers=headers)[1]
        return [one["ServiceID"] for one in found]


@pytest.fixture(scope="module")
def known(consul: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consul]:
    with consul_server(consul, tmp_path_factory.mktemp("consul")) as server:
        yield Consul(server)


@pytest.mark.slow
def test_consul_knows_a_running_task_as_registrator_would_tell_it(known: Consul) -> None:
    with SimulatedCluster(consul=known.server.url, consul_token=known.server.token) as sim:
        marathon = Marathon(sim)
        marathon.deployed("/web", **WEB)
        (task,) = sim.tasks("/web")
        until(lambda: bool(known.services()))
        ((id, service),) = known.services().items()

        container = task.id.split("instance-")[1].split(".")[0]
        assert id == f"{task.agent.hostname}:mesos-{container}:8080"
        assert (service["Service"], sorted(service["Tags"])) == ("web", ["team-a", "version-1"])
        assert (service["Address"], service["Port"]) == (task.agent.hostname, task.ports[0])
    assert known.services() == {}


@pytest.mark.slow
def test_consul_forgets_a_task_only_after_it_has_died(known: Consul) -> None:
    with SimulatedCluster(consul=known.server.url, consul_token=known.server.token) as sim:
        marathon = Marathon(sim)
        sim.profile("/web", Profile(stop_seconds=8))
        sim.profile("/later", Profile(start_seconds=0.1))
        marathon.deployed("/web", **WEB, taskKillGracePeriodSeconds=10)
        (task,) = sim.tasks("/web")
        until(lambda: bool(known.services()))
        marathon.ask("DELETE", "/apps/web")
        sim.advance(3)
        assert refuses(url(task))
        # Calls go to Consul one after the other: what was asked before this one is done.
        marathon.put("/later", **{**WEB, "env": {"SERVICE_NAME": "later"}})
        sim.advance(1.5)
        until(lambda: "later" in [one["Service"] for one in known.services().values()])
        assert sorted(one["Service"] for one in known.services().values()) == ["later", "web"]
        marathon.ask("DELETE", "/apps/later?force=true")
        sim.advance(6)
        until(lambda: known.services() == {})


def test_the_catalog_keeps_nothing_of_a_crash_loop(known: Consul) -> None:
    with SimulatedCluster(consul=known.server.url, consul_token=known.server.token) as sim:
        marathon = Marathon(sim)
        sim.profile("/web", Profile(fails_after=0.5))
        marathon.put("/web", **WEB)
        sim.advance(20)
        assert len(sim.world.ended) > 2
        sim.profile("/web", Profile())
        sim.advance(60)
        (task,) = sim.tasks("/web")
        container = task.id.split("instance-")[1].split(".")[0]

        until(lambda: known.catalog("web") == [f"{task.agent.hostname}:mesos-{container}:8080"])
    until(lambda: known.catalog("web") == [])


def test_consul_hears_nothing_of_an_app_on_the_host_s_own_network(known: Consul) -> None:
    with SimulatedCluster(consul=known.server.url, consul_token=known.server.token) as sim:
        marathon = Marathon(sim)
        marathon.deployed("/plain", env={"SERVICE_NAME": "plain"})
        marathon.deployed("/web", **WEB)
        until(lambda: bool(known.services()))

        assert [one["Service"] for one in known.services().values()] == ["web"]


def test_a_container_carries_what_registrator_reads() -> None:
    from constructs_lib.simulator.cluster.registering import container

    with SimulatedCluster() as sim:
        marathon = Marathon(sim)
        marathon.deployed("/web", **WEB)
        (task,) = sim.tasks("/web")
        shown = container(task)

    assert shown["NetworkSettings"]["Ports"] == {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "31000"}]}
    assert "SERVICE_8080_NAME=web" in shown["Config"]["Env"]
    assert json.dumps(shown)
