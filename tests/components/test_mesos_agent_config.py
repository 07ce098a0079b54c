"""The program on the node that computes what a Mesos agent is started with, run for real."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from constructs_lib.components.flags import known_flags
from constructs_lib.nodes.render import render
from constructs_lib.nodes.templates import TEMPLATE_FOLDER
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.double import Log
from constructs_lib.simulator.mesos_agent import read_settings
from constructs_lib.spec.model import ClusterSpec
from tests.components.mesos_agent_here import ADDRESS, PROGRAM, Master, Node, flags
from tests.nodes.clusters import WHOLE


@pytest.fixture
def leader() -> Iterator[int]:
    """The port of a double of a leading master."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Master) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def node(tmp_path: Path, leader: int) -> Node:
    return Node(tmp_path, leader)


def test_its_first_start_waits_for_a_leading_master_and_a_later_one_does_not(node: Node, leader: int) -> None:
    node.latest.unlink()
    assert node.configure() == (0, "")

    node.register()
    node.given["masters"] = ["127.0.0.1:1"]
    assert node.configure() == (0, "")


def test_waiting_for_a_leading_master_ends_after_15_minutes_however_slow_each_answer_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait = runpy.run_path(str(TEMPLATE_FOLDER / "mesos_agent" / "mesos-agent-config"))["wait_for_leader"]
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def slow(*_: object, **__: object) -> None:
        sleep(4)
        raise TimeoutError

    clock = SimpleNamespace(sleep=sleep, monotonic=lambda: now[0])
    monkeypatch.setitem(wait.__globals__, "time", clock)
    monkeypatch.setattr(urllib.request.OpenerDirector, "open", slow)

    with pytest.raises(SystemExit, match="no leading Mesos master among a, b, c, d, e for 15 minutes"):
        wait(["a", "b", "c", "d", "e"])
    assert 900 <= now[0] <= 930


def test_it_offers_less_than_the_machine_has(node: Node) -> None:
    assert node.configure() == (0, "")
    assert node.read("resources") == "cpus:3.75;mem:14746;disk:71680;ports:[31000-32000]"


def test_a_very_small_machine_offers_half_of_it(node: Node) -> None:
    node.cpus, node.memory, node.disk = 1, 1024, 8192

    assert node.configure() == (0, "")
    assert node.read("resources") == "cpus:0.75;mem:512;disk:4096;ports:[31000-32000]"


def test_its_fault_domain_is_the_zone_whose_range_holds_its_address(node: Node) -> None:
    node.configure()
    assert json.loads(node.read("domain")) == {
        "fault_domain": {"region": {"name": "eu"}, "zone": {"name": "b"}}
    }

    node.given["address"] = "192.0.2.1"
    code, said = node.configure()
    assert code == 1
    assert said.startswith("address 192.0.2.1 is in no zone's range for agents: {'a': '10.20.32.0/19'")


def test_its_attributes_are_the_pools_and_its_name(node: Node) -> None:
    pool = {"general": {"count": 1, "attributes": {"disk": "ssd", "rack": "r1"}}}
    sites = {"eu": WHOLE["sites"]["eu"] | {"agents": pool}}  # type: ignore[index]  # WHOLE is a mapping of objects
    planned = plan(ClusterSpec.model_validate(WHOLE | {"sites": sites})).site("eu")
    text = render(planned, planned.pools[0]).file("/etc/mesos/agent.json").content
    node.given["attributes"] = json.loads(text)["attributes"]

    assert node.configure() == (0, "")
    assert node.read("attributes") == "pool:general;disk:ssd;rack:r1"


def test_its_credentials_are_json_whatever_the_secret_holds_and_roots_alone(node: Node) -> None:
    node.configure()

    assert json.loads(node.read("credential.json")) == {"principal": "agent", "secret": 'agent-"secret'}
    assert json.loads(node.read("http_credentials.json")) == {
        "credentials": [{"principal": "operator", "secret": 'operator-"secret'}]
    }
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in node.root.at("/run/mesos-agent").iterdir())


def test_every_computed_file_is_what_its_flag_takes(node: Node) -> None:
    node.configure()
    table = known_flags("mesos-agent")

    for name in ("resources", "attributes", "domain"):
        assert flags()[name] == f"file:///run/mesos-agent/{name}"
        assert table.wrong(name, node.read(name)) == ""


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("1.41", ""),
        ("1.51", ""),
        ("1.52", "DOCKER_API_VERSION=1.44\n"),
        ("1.55", "DOCKER_API_VERSION=1.44\n"),
    ],
)
def test_docker_29_is_asked_in_an_older_version_of_its_api(node: Node, version: str, wanted: str) -> None:
    node.docker(version)

    assert node.configure() == (0, "")
    assert node.read("docker.env") == wanted


def test_a_docker_that_hangs_is_asked_for_three_minutes_and_then_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docker_api = runpy.run_path(str(TEMPLATE_FOLDER / "mesos_agent" / "mesos-agent-config"))["docker_api"]
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def hang(command: tuple[str, ...], *, timeout: float, **_: object) -> None:
        sleep(timeout)
        raise subprocess.TimeoutExpired(command, timeout)

    clock = SimpleNamespace(sleep=sleep, monotonic=lambda: now[0])
    monkeypatch.setitem(docker_api.__globals__, "time", clock)
    monkeypatch.setattr(subprocess, "run", hang)

    with pytest.raises(SystemExit) as ended:
        docker_api()
    said = "docker does not answer: docker version said nothing for 60 s; restart docker"
    assert ended.value.code == said
    assert 180 <= now[0] <= 250


@pytest.mark.slow
def test_a_docker_that_refuses_at_first_is_asked_again(node: Node) -> None:
    ready = node.root.at("/ready")
    refuse = f"{{ touch {ready}; echo no daemon >&2; exit 1; }}"
    node.root.double("docker", f"[ -e {ready} ] || {refuse}; echo 1.52")

    assert node.configure() == (0, "")
    assert node.read("docker.env") == "DOCKER_API_VERSION=1.44\n"


def test_no_secret_of_the_node_is_in_the_line_in_which_the_agent_logs_its_flags(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    login = {"auths": {"registry.example.org:5000": {"auth": "Y2x1c3RlcjpwYXNzd29yZA=="}}}
    node.root.put("/root/.docker/config.json", json.dumps(login))
    assert node.configure() == (0, "")

    read_settings([], node.environ(), Log("mesos-agent"))

    said = capsys.readouterr().err
    assert '--resources="' in said.partition("Flags at startup: ")[2]
    for secret in ("Y2x1c3RlcjpwYXNzd29yZA==", 'agent-"secret', 'operator-"secret'):
        assert secret not in said


def test_the_double_of_the_agent_which_refuses_what_mesos_would_takes_flags_and_computed_files(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    node.configure()

    settings = read_settings([], node.environ(), Log("mesos-agent"))

    assert settings.credential == ("agent", 'agent-"secret')
    assert settings.logins.read_write
    assert settings.logins.known == {"operator": 'operator-"secret'}
    assert (settings.info["hostname"], settings.info["port"]) == (ADDRESS, 5051)
    assert settings.info["domain"]["fault_domain"]["zone"] == {"name": "b"}
    assert settings.info["attributes"] == {"pool": "general"}
    assert settings.info["resources"]["cpus"] == 3.75
    assert not re.search(r"(?m)^[WE]", capsys.readouterr().err)


def test_a_little_less_memory_after_a_new_kernel_changes_nothing(node: Node) -> None:
    node.configure()
    before = node.read("resources")
    node.memory, node.boot = 16380, "boot-2"

    assert node.configure() == (0, "")
    assert node.read("resources") == before
    assert node.latest.is_symlink()


def test_a_machine_that_came_back_smaller_registers_as_a_new_agent(node: Node) -> None:
    node.configure()
    node.memory, node.cpus, node.boot = 8192, 2, "boot-2"

    assert node.configure() == (0, "registers as a new agent: cpus 3.75 -> 1.75, mem 14746 -> 7168")
    assert not node.latest.is_symlink()
    assert node.read("resources") == "cpus:1.75;mem:7168;disk:71680;ports:[31000-32000]"


def test_a_machine_that_grew_keeps_its_name(node: Node) -> None:
    node.configure()
    node.memory, node.boot = 32768, "boot-2"

    assert node.configure() == (0, "")
    assert "mem:29492;" in node.read("resources")
    assert node.latest.is_symlink()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"attributes": {"pool": "other"}}, "attribute pool general -> other"),
        ({"attributes": {}}, "attribute pool general -> None"),
        ({"address": "10.20.96.8"}, f"hostname {ADDRESS} -> 10.20.96.8"),
        ({"address": "10.20.32.8"}, f"hostname {ADDRESS} -> 10.20.32.8, zone b -> a"),
    ],
)
def test_while_tasks_may_run_a_change_that_mesos_refuses_is_told_and_nothing_forgotten(
    node: Node, change: dict[str, Any], told: str
) -> None:
    node.configure()
    before = node.read("attributes")
    node.given |= change

    code, said = node.configure()

    assert code == 1
    assert said.startswith(
        f"Mesos would refuse this agent: {told}. Drain it, then run: "
        f"sudo {PROGRAM} --forget && sudo systemctl restart mesos-agent; "
    )
    assert node.latest.is_symlink()
    assert node.read("attributes") == before
    # Taken back, or asked to forget, it goes on.
    assert node.configure("--forget") == (0, f"registers as a new agent: {told}")
    assert not node.latest.is_symlink()


def test_an_attribute_more_needs_no_new_agent(node: Node) -> None:
    node.configure()
    node.given["attributes"] = {"pool": "general", "disk": "ssd"}

    assert node.configure() == (0, "")
    assert node.read("attributes") == "pool:general;disk:ssd"


def test_a_note_that_cannot_be_read_is_no_reason_to_stay_down(node: Node) -> None:
    node.configure()
    node.root.put("/var/lib/mesos/clustermesos-agent.json", "{")

    assert node.configure() == (0, "")
    assert node.latest.is_symlink()


@pytest.mark.parametrize("note", ["{", None])
def test_asked_to_forget_it_needs_no_note_of_what_was_before(node: Node, note: str | None) -> None:
    path = node.root.at("/var/lib/mesos/clustermesos-agent.json")
    if note:
        path.write_text(note)

    assert node.configure("--forget") == (0, "registers as a new agent: --forget")
    assert not node.latest.is_symlink()
