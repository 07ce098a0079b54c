"""`clustermesos scale`, once and again and again, over a simulated cluster and a real Consul."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from constructs_lib.cli import scale
from constructs_lib.cli.main import main
from constructs_lib.hooks import usage
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.lease import Lease
from constructs_lib.hooks.report import SIMULATOR_NOTE
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import Profile, RunningClock, SimulatedCluster, Use
from constructs_lib.simulator.cluster.endpoints_file import endpoints, write_endpoints
from constructs_lib.spec.load import load
from scripts.progress import ROOT
from tests.hooks.consul_server import ConsulServer, consul_server

CONTRACT = """
name: shop
owner: shop@example.org
dev:
  image: registry.service.consul:5000/shop:one
  health: {command: "true"}
ops:
  cpus: 0.1
  memory_mib: 32
  instances: {min: 2, max: 8, follow: memory, target: 0.5}
  deploy: {min_healthy_seconds: 0}
"""


@dataclass
class Shop:
    folder: Path
    simulated: SimulatedCluster
    consul: Consul

    def command(self, *words: str) -> int:
        return main([*words, "--file", str(self.folder / "cluster.yaml"), "--timeout", "60"])

    def use(self, memory: float) -> None:
        self.simulated.use("/shop/*", Use(memory=memory))

    def running(self) -> int:
        return len([task for task in self.simulated.tasks() if task.active])


@pytest.fixture(scope="module")
def server(consul: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulServer]:
    with consul_server(consul, tmp_path_factory.mktemp("consul")) as server:
        yield server


@pytest.fixture
def shop(server: ConsulServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Two instances, deployed by apply."""
    (tmp_path / "cluster.yaml").write_text((ROOT / "cluster.yaml").read_text())
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "shop.yaml").write_text(CONTRACT)
    clock, made = RunningClock(20), plan(load(ROOT / "cluster.yaml"))
    consul = Consul(Client(Target(name="consul", bases=(server.url,)), Deadline(600)), server.token)
    with SimulatedCluster.of_plan(made, clock=clock) as simulated:
        simulated.profile("*", Profile(start_seconds=0.1, healthy_after=0.1, stop_seconds=0.1))
        write_endpoints(tmp_path / "endpoints.json", endpoints(simulated, {"": server.url}))
        monkeypatch.setenv("CLUSTERMESOS_SIMULATOR", str(tmp_path / "endpoints.json"))
        monkeypatch.setenv("CONSUL_HTTP_TOKEN", server.token)
        shop = Shop(tmp_path, simulated, consul)
        assert shop.command("apply", "--gate-timeout", "20") == 0
        yield shop
    consul.kv.delete("clustermesos/", recurse=True)


def rounds(monkeypatch: pytest.MonkeyPatch, *between: Callable[[], object]) -> None:
    """Let `--every` not wait: what is given happens between its rounds, and SIGTERM comes after the last."""
    left: list[Callable[[], object]] = [*between, lambda: os.kill(os.getpid(), signal.SIGTERM)]

    def sleep(_seconds: float) -> None:
        assert left, "SIGTERM came, and it went on"
        left.pop(0)()

    # No time passes between rounds, so what was counted in the last one has to count as old.
    monkeypatch.setattr(usage, "FRESH_SECONDS", -1.0)
    monkeypatch.setattr(scale, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))


@pytest.mark.slow
def test_the_number_follows_what_agents_count_and_is_told_with_all_that_it_comes_from(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.use(0.9)
    capsys.readouterr()

    assert shop.command("scale", "--dry-run", "--json") == 0

    planned = json.loads(capsys.readouterr().out)["contracts"]["shop"]
    assert (planned["count"], planned["changed"], shop.running()) == (4, False, 2)
    assert shop.command("scale") == 0
    says = "memory 0.90 of 2 happy instances, target 0.5, offset 0, asked 2, 2 to 8 → 4"
    assert capsys.readouterr().out == f"{SIMULATOR_NOTE}\nshop: {says}\n"
    assert shop.running() == 4
    shop.use(0.5)
    assert shop.command("scale", "shop", "--json") == 0
    told = json.loads(capsys.readouterr().out)["contracts"]["shop"]
    assert (told["count"], told["changed"], told["good"]) == (4, False, True)
    assert told["says"].endswith("→ 4 (near enough)")


@pytest.mark.slow
def test_every_so_often_changes_are_one_line_each_and_sigterm_ends_it(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.use(0.7)
    capsys.readouterr()
    rounds(monkeypatch, lambda: None, lambda: shop.use(0.9), lambda: None)

    assert shop.command("scale", "--every", "60s", "--json") == 0

    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert all(one["simulator"] for one in lines)
    assert [(one["contract"], one["count"], one["changed"]) for one in lines] == [
        ("shop", 3, True),
        ("shop", 5, True),
        ("shop", 8, True),
    ]
    assert err == "scales shop every 60 seconds\nended; the numbers stay as they are\n"
    assert shop.running() == 8


@pytest.mark.slow
def test_what_goes_wrong_is_told_once_and_gone_on_after(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.use(0.5)
    contract = shop.folder / "contracts" / "shop.yaml"
    simulator = shop.folder / "endpoints.json"
    capsys.readouterr()
    rounds(
        monkeypatch,
        lambda: contract.write_text("name: [\n"),
        lambda: None,
        lambda: contract.write_text(CONTRACT),
        lambda: simulator.rename(simulator.with_suffix(".away")),
        lambda: None,
        lambda: simulator.with_suffix(".away").rename(simulator),
    )

    assert shop.command("scale", "--every", "10") == 0

    out, err = capsys.readouterr()
    assert out == ""
    told = err.splitlines()[1:-1]
    assert [line for line in told if line.endswith("goes on")] == ["contracts: goes on", "goes on"]
    assert sum("contracts/shop.yaml" in line for line in told) == 1
    assert sum("can't be read" in line for line in told) == 1


@pytest.mark.slow
def test_two_do_not_fight_and_the_second_is_told_who_does_it(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Lease("scale", seconds=60, who="anna@ops, process 7")
    assert other.take(shop.consul) is None
    shop.use(0.9)
    capsys.readouterr()

    assert shop.command("scale") == 1

    assert capsys.readouterr().err == (
        "nothing was done: anna@ops, process 7 scales; end that one, or leave it to it\n"
    )
    assert shop.command("scale", "--dry-run") == 0, "looking needs no lease"
    assert shop.running() == 2
    capsys.readouterr()
    rounds(monkeypatch, lambda: None, lambda: other.release(shop.consul))
    assert shop.command("scale", "--every", "10") == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[1:-1] == ["anna@ops, process 7 scales; waits for it to end", "goes on"]
    assert out.count(" SIMULATOR shop: memory 0.90") == 1 and shop.running() == 4


@pytest.mark.parametrize("period", ["5", "3601", "often", "-1", "1.5"])
def test_a_period_is_seconds_within_bounds(period: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["scale", f"--every={period}"])

    assert ended.value.code == 2
    assert f"got '{period}', expected seconds, 10 to 3600" in capsys.readouterr().err


def test_what_is_wrong_at_the_start_ends_it_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cluster.yaml").write_text("name: [\n")

    assert main(["scale", "--every", "60", "--file", str(tmp_path / "cluster.yaml")]) == 2
    assert "cluster.yaml:" in capsys.readouterr().err
