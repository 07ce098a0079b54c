"""`clustermesos simulate` from start to Ctrl-C, and what it says where it can't start."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.cli.main import main
from constructs_lib.hooks.simulated import read_endpoints
from constructs_lib.simulator.web import ask
from tests.hooks.consul_server import consul_server

ROOT = Path(__file__).parents[2]
FILE = str(ROOT / "cluster.yaml")
ENOUGH = 60


@contextmanager
def simulator(
    folder: Path, *arguments: str, **environ: str
) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    """Where it answers, and the process."""
    file = folder / "endpoints.json"
    command = [sys.executable, "-m", "constructs_lib.cli.main", "simulate", "--endpoints", str(file)]
    process = subprocess.Popen(
        [*command, "--port-base", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **environ},
    )
    try:
        ends = time.monotonic() + ENOUGH
        while not file.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < ends
            time.sleep(0.05)
        yield json.loads(file.read_text()), process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_says_what_it_is_and_ends_clean(tmp_path: Path, ends: signal.Signals) -> None:
    with simulator(tmp_path, "--speed", "50") as (found, process):
        known = read_endpoints(tmp_path / "endpoints.json")
        marathon = f"http://{found['instances']['marathon'][0]}"
        assert ask(f"{marathon}/v2/apps/web", "PUT", {"cmd": "a"})[0] == 201
        limit = time.monotonic() + ENOUGH
        while ask(f"{marathon}/v2/apps/web")[1]["app"]["tasksRunning"] != 1:
            assert time.monotonic() < limit
            time.sleep(0.05)
        process.send_signal(ends)
        out, err = process.communicate(timeout=ENOUGH)

    assert known.simulator
    assert sorted(known.instances) == ["chronos", "marathon", "mesos"] and known.opens is not None
    assert (process.returncode, err) == (0, "the SIMULATOR has ended\n")
    assert out.startswith("SIMULATOR\nmarathon-1  http://127.0.0.1:")
    assert "agents: general 3" in out
    assert not (tmp_path / "endpoints.json").exists()


def test_its_agents_are_those_of_cluster_yaml(tmp_path: Path) -> None:
    with simulator(tmp_path, "--file", str(ROOT / "cluster.yaml"), "--agents", "batch=2", "--json") as (
        found,
        _,
    ):
        slaves = ask(f"http://{found['instances']['mesos'][0]}/slaves")[1]["slaves"]
        pools = [slave["attributes"]["pool"] for slave in slaves]

    assert len(found["instances"]["marathon"]) == 3
    assert sorted(pools) == ["batch", "batch", "data", "general", "general", "general"]
    assert {slave["domain"]["fault_domain"]["region"]["name"] for slave in slaves} == {"eu"}


@pytest.mark.slow
def test_tasks_are_servers_that_a_real_consul_knows(tmp_path: Path, consul: Path) -> None:
    app = {
        "container": {"docker": {"image": "web"}, "portMappings": [{"containerPort": 80}]},
        "networks": [{"mode": "container/bridge"}],
        "env": {"SERVICE_NAME": "web"},
    }
    (tmp_path / "consul").mkdir()
    with consul_server(consul, tmp_path / "consul") as server:
        arguments = ("--speed", "20", "--consul", f"eu={server.url}")
        with simulator(tmp_path, *arguments, CONSUL_HTTP_TOKEN=server.token) as (found, process):
            assert ask(f"http://{found['instances']['marathon'][0]}/v2/apps/web", "PUT", app)[0] == 201
            headers = {"X-Consul-Token": server.token}
            limit = time.monotonic() + ENOUGH
            while not (services := ask(f"{server.url}/v1/agent/services", headers=headers)[1]):
                assert time.monotonic() < limit
                time.sleep(0.05)
            (service,) = services.values()
            assert ask(f"http://{service['Address']}:{service['Port']}/")[1]["app"] == "/web"
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=ENOUGH)
        assert ask(f"{server.url}/v1/agent/services", headers=headers)[1] == {}

    assert found["instances"]["consul/eu"] == [server.url.removeprefix("http://")]


def test_state_faults_and_lives_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text("faults:\n- {kind: status, status: 500, path: /v2/info}\n")
    arguments = ("--state", "state.json", "--faults", "faults.yaml")
    for expected in ([], ["/web"]):
        with simulator(tmp_path, *arguments) as (found, process):
            marathon = f"http://{found['instances']['marathon'][0]}"
            assert [ask(f"{marathon}/v2/info")[0] for _ in range(2)] == [500, 200]
            assert [app["id"] for app in ask(f"{marathon}/v2/apps")[1]["apps"]] == expected
            ask(f"{marathon}/v2/apps/web", "PUT", {"cmd": "a"})
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=ENOUGH)
            (tmp_path / "endpoints.json").unlink(missing_ok=True)


def test_a_taken_port_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        base = taken.getsockname()[1] - 80
        code = main(
            ["simulate", "--file", str(ROOT / "cluster.yaml"), "--masters", "1", "--port-base", str(base)]
        )

    assert code == 1
    assert capsys.readouterr().err == (
        f"Failed to bind on 127.0.0.1:{base + 80}: Address already in use; another --port-base, or 0 for "
        "free ports, may help\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--faults", "none.yaml"), "none.yaml: can't be read"),
        (("--faults", "bad.yaml"), "bad.yaml: fault: kind: got 'x', expected one of"),
        (("--faults", "lost.yaml"), "lost.yaml: no agent is called '10.9.9.9'"),
        (("--state", "bad.yaml"), "bad.yaml: "),
        (("--agents", "nope=1"), "got pool 'nope', expected one of batch, data, general"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    (tmp_path / "bad.yaml").write_text("faults: [{kind: x}]\n")
    (tmp_path / "lost.yaml").write_text("faults: [{kind: agent_lost, target: 10.9.9.9}]\n")
    monkeypatch.chdir(tmp_path)

    assert main(["simulate", "--file", FILE, "--port-base", "0", *arguments]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--speed", "0"),
        ("--speed", "fast"),
        ("--masters", "9"),
        ("--port-base", "80"),
        ("--agents", "general"),
        ("--consul", "127.0.0.1:8500"),
        ("--consul", "=http://127.0.0.1"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["simulate", option, value])

    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err
