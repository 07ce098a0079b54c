"""Registrator's double between a Docker API and a real Consul agent that denies whoever has no token."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.simulator.services import Rules, services
from constructs_lib.simulator.web import ask
from scripts.embedded_aws import free_port
from tests.simulator.conftest import Start
from tests.simulator.docker_double import DockerDouble, web
from tests.simulator.running import Double, ended, wait_for

REFUSED = json.loads((Path(__file__).parent / "refused" / "registrator.json").read_text())
TOKEN = "9c3a7f6e-1f0f-4f4e-9d1c-5b0a3f4b2c1d"
HERE = socket.gethostname()


@pytest.mark.parametrize("case", REFUSED)
def test_fails_as_the_real_one_on(case: str) -> None:
    done = ended("registrator", *REFUSED[case]["flags"], environ=REFUSED[case].get("environ"))

    assert done.returncode == REFUSED[case]["code"]
    assert REFUSED[case]["says"] in done.stderr
    assert "Traceback" not in done.stderr


class ConsulAgent:
    """A real one, in memory, that wants a token for everything."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.port = free_port()
        ports = {name: free_port() for name in ("server", "serf_lan")}
        closed = {"dns": -1, "grpc": -1, "grpc_tls": -1, "serf_wan": -1}
        config = {
            "ports": {"http": self.port, **ports, **closed},
            "bind_addr": "127.0.0.1",
            "acl": {
                "enabled": True,
                "default_policy": "deny",
                "tokens": {"initial_management": TOKEN, "agent": TOKEN},
            },
        }
        (folder / "consul.json").write_text(json.dumps(config))
        with (folder / "consul.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "agent", "-dev", f"-config-file={folder / 'consul.json'}"], stdout=log, stderr=log
            )

    def services(self) -> Mapping[str, Any]:
        headers = {"X-Consul-Token": TOKEN}
        found: Mapping[str, Any] = ask(f"http://127.0.0.1:{self.port}/v1/agent/services", headers=headers)[1]
        return found

    def answers(self) -> bool:
        try:
            return bool(ask(f"http://127.0.0.1:{self.port}/v1/status/leader")[1]) and self.services() == {}
        except OSError:
            return False


@pytest.fixture(scope="module")
def agent(consul: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulAgent]:
    running = ConsulAgent(consul, tmp_path_factory.mktemp("consul"))
    try:
        wait_for("Consul", running.answers)
        yield running
    finally:
        running.process.kill()
        running.process.wait(timeout=10)


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[DockerDouble]:
    double = DockerDouble(tmp_path / "docker.sock")
    yield double
    double.stop()


@pytest.fixture
def registrator(start: Start, agent: ConsulAgent, docker: DockerDouble) -> Double:
    for id in agent.services():
        headers = {"X-Consul-Token": TOKEN}
        ask(f"http://127.0.0.1:{agent.port}/v1/agent/service/deregister/{id}", "PUT", headers=headers)
    return start_registrator(start, agent, docker, TOKEN)


def start_registrator(start: Start, agent: ConsulAgent, docker: DockerDouble, token: str) -> Double:
    flags = (
        "-ip",
        "10.0.0.31",
        "-cleanup",
        "-resync",
        "1",
        "-retry-attempts",
        "-1",
        "-retry-interval",
        "200",
    )
    environ = {"DOCKER_HOST": docker.address, "CONSUL_HTTP_TOKEN": token}
    uri = f"consul://127.0.0.1:{agent.port}"
    double = start("registrator", *flags, "-deregister", "always", uri, port=0, environ=environ)
    wait_for("its ear at Docker", docker.listened_to, double)
    return double


def test_a_published_port_becomes_a_service_and_goes_with_its_container(
    registrator: Double, agent: ConsulAgent, docker: DockerDouble
) -> None:
    id = f"{HERE}:shop:80"
    docker.start("c1", **web("shop", 31001, "SERVICE_NAME=shop", "SERVICE_TAGS=http,metrics"))
    found = wait_for("the service", lambda: agent.services().get(id), registrator)
    docker.start("c2", **web("hidden", None))
    docker.die("c1")
    wait_for("its end", lambda: id not in agent.services(), registrator)

    assert (found["Service"], found["Address"], found["Port"]) == ("shop", "10.0.0.31", 31001)
    assert found["Tags"] == ["http", "metrics"]
    assert agent.services() == {}
    assert "ignored: c2 no published ports" in registrator.log()
    assert TOKEN not in registrator.log()


@pytest.mark.slow
def test_what_is_missed_is_repaired_and_what_others_registered_is_left_alone(
    registrator: Double, agent: ConsulAgent, docker: DockerDouble
) -> None:
    headers = {"X-Consul-Token": TOKEN}
    for id in (f"{HERE}:gone:80", "another-host:web:80", "by-hand"):
        body = {"ID": id, "Name": "left", "Port": 1}
        ask(f"http://127.0.0.1:{agent.port}/v1/agent/service/register", "PUT", body, headers)
    docker.running["quiet"] = web("quiet", 31002)

    wanted = {f"{HERE}:quiet:80", "another-host:web:80", "by-hand"}
    wait_for("the repair", lambda: set(agent.services()) == wanted, registrator)


def test_without_a_token_nothing_is_registered_and_the_log_says_so(
    start: Start, agent: ConsulAgent, docker: DockerDouble, registrator: Double
) -> None:
    registrator.stop()
    stranger = start_registrator(start, agent, docker, "00000000-0000-0000-0000-000000000001")
    docker.start("c3", **web("shop", 31003))

    wait_for("the refusal", lambda: "register failed" in stranger.log(), stranger)
    assert agent.services() == {}


def test_it_ends_when_dockers_events_do(registrator: Double, docker: DockerDouble) -> None:
    docker.close_streams()

    assert registrator.ends() == 1
    assert "Docker event loop closed" in registrator.log()


def test_names_tags_checks_and_groups_follow_the_metadata() -> None:
    container = web(
        "api", 31004, "SERVICE_80_NAME=api", "SERVICE_80_CHECK_HTTP=/health", "SERVICE_443_IGNORE=true"
    )
    container["NetworkSettings"]["Ports"] |= {
        "443/tcp": [{"HostIp": "0.0.0.0", "HostPort": "31005"}],
        "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "31006"}],
    }
    found = {one.id: one for one in services(container, Rules(ip="10.0.0.1", tags="lab"), "host")}

    assert set(found) == {"host:api:80", "host:api:53:udp"}
    assert [one.name for one in found.values()] == ["api", "web-53"]
    assert found["host:api:53:udp"].tags == ("lab", "udp")
    body = found["host:api:80"].registration()
    assert body["Check"] == {"HTTP": "http://10.0.0.1:31004/health", "Interval": "10s"}


def test_a_container_on_the_hosts_network_is_its_exposed_ports() -> None:
    container = web("api", None)
    container["Config"]["ExposedPorts"] = {"9000/tcp": {}}
    container["NetworkSettings"]["Ports"] = {}

    assert [(one.name, one.port) for one in services(container, Rules(ip="10.0.0.1"), "host")] == [
        ("web", 9000)
    ]
