"""`clustermesos backups`: applications' jobs and the platform's own backups in one table."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.cli.main import main
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import Fault, Profile, RunningClock, SimulatedCluster
from constructs_lib.simulator.cluster.endpoints_file import endpoints
from constructs_lib.simulator.web import ask
from constructs_lib.spec.load import load
from tests.hooks.scripted_server import Asked, Says, scripted
from tests.lab.asking import seen

CLUSTER = """\
name: night
sites:
  eu:
    platform: aws
    aws: {region: eu-west-3}
    network: 10.20.0.0/16
    masters: {count: 1}
    agents:
      data: {count: 1, cpus: 2, memory_gib: 8}
app_secrets:
  backup/password: {pools: [data], made: true}#1
backups:
  offsite: {repository: "s3:https://s3.eu-west-3.amazonaws.com/apps", password: backup/password}#2
admin:
  networks: [203.0.113.0/24]
  ssh_keys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAtWHj8rtM8QGUNPFcZG/fTVYiYrfsKyKF6Ya+W74bef night@example.org
"""
OWN = {
    "#1": "\n  backup/own: {pools: [], made: true}",
    "#2": '\n  own: {repository: "s3:https://s3.eu-west-3.amazonaws.com/own", password: backup/own}',
}
CONTRACT = """\
name: orders
owner: shop@example.org
dev:
  image: registry.example.org/orders:2.1.0
  ports: {http: 8080}
  health: {path: /healthz}
  state: {volumes: {data: {path: /var/lib/orders}}}
ops:
  cpus: 1
  memory_mib: 1024
  pools: [data]
  deploy: {strategy: recreate, min_healthy_seconds: 0}
  backup: {volume: data, to: offsite, schedule: hourly, restore_test: daily}
"""
UNSAVED = (
    "?    platform             its own state (Consul, ZooKeeper, registry) is not saved: cluster.yaml has no "
    "platform_backup"
)


class Folder:
    """A cluster's folder, its simulator, and what a Prometheus says of Consul's state on consul-1."""

    def __init__(self, path: Path, *, platform: bool) -> None:
        self.path = path
        text = CLUSTER + ("platform_backup: {to: own}\n" if platform else "")
        for mark, line in OWN.items():
            text = text.replace(mark, line if platform else "")
        (path / "cluster.yaml").write_text(text)
        (path / "contracts").mkdir()
        (path / "contracts/orders.yaml").write_text(CONTRACT)
        self.plan = plan(load(path / "cluster.yaml"), None)
        self.values: dict[str, float] = {}

    def listen(self, sim: SimulatedCluster, prometheus: str) -> None:
        found = endpoints(sim, {})
        found["instances"]["prometheus/eu"] = [prometheus]
        (self.path / "sim.json").write_text(json.dumps(found))

    def tell(self, _: Asked) -> Says:
        node = {"instance": f"{self.plan.site('eu').node('consul-1').address}:9100"}
        told = [
            ({"__name__": f"clustermesos_platform_{name}", "state": "consul"}, value)
            for name, value in self.values.items()
        ]
        rows = [
            {"metric": node | labels, "value": [0, str(value)]}
            for labels, value in (*told, ({"__name__": "up"}, 1))
        ]
        return Says(body={"data": {"resultType": "vector", "result": rows}})

    def run(self, *words: str) -> int:
        options = ["--simulator", f"{self.path}/sim.json", "--file", f"{self.path}/cluster.yaml"]
        return main([*words, *options])


@pytest.fixture(params=[True])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Folder, SimulatedCluster]]:
    """With a target for the platform's own state, unless a test says otherwise."""
    found = Folder(tmp_path, platform=request.param)
    with (
        SimulatedCluster.of_plan(found.plan, clock=RunningClock(60)) as sim,
        scripted(found.tell) as prometheus,
    ):
        found.listen(sim, prometheus.address)
        yield found, sim


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_platform_s_own_backups_stand_below_the_jobs(
    folder: tuple[Folder, SimulatedCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    here, _ = folder
    here.values = {
        "backup_success_timestamp_seconds": time.time(),
        "restore_verified_timestamp_seconds": time.time(),
    }
    assert here.run("apply") == 0
    capsys.readouterr()

    assert here.run("backups") == 0

    rows = capsys.readouterr().out.splitlines()
    assert [row.split("  ")[0] for row in rows[1:5]] == ["?", "ok", "ok", "ok"]
    assert rows[5].startswith("?   platform: zookeeper on master-1.eu")
    assert rows[6].startswith("ok  platform: consul on consul-1.eu")
    assert "; proved by a restore " in rows[6]
    assert rows[7].startswith("?   platform: registry on consul-1.eu") and "has not run yet" in rows[7]
    assert (
        "try: ssh -F .clustermesos/ssh_config consul-1.eu sudo systemctl start platform-backup "
        in "\n".join(rows)
    )


@pytest.mark.slow
def test_one_that_failed_ends_with_1_and_is_told_to_programs(
    folder: tuple[Folder, SimulatedCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    here, _ = folder
    here.values = {"backup_success_timestamp_seconds": 0, "save_failed": 1}
    assert here.run("apply") == 0
    capsys.readouterr()

    assert here.run("backups", "--json") == 1

    found = said(capsys)
    assert (found["good"], found["simulator"]) == (False, True)
    assert all(job["good"] for job in found["jobs"])
    own = next(one for one in found["platform"] if one["state"] == "consul")
    assert (own["node"], own["good"], own["last_success"], own["last_failed"]) == (
        "consul-1.eu",
        False,
        None,
        True,
    )
    assert own["try_next"].endswith("consul-1.eu sudo journalctl -u platform-backup -n 50")


@pytest.mark.slow
def test_of_one_contract_there_is_no_word_of_the_platform(
    folder: tuple[Folder, SimulatedCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    here, _ = folder
    here.values = {"save_failed": 1, "backup_success_timestamp_seconds": 0}
    assert here.run("apply") == 0
    capsys.readouterr()

    assert here.run("backups", "orders") == 0
    assert "platform" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_job_that_failed_names_where_its_words_are(
    folder: tuple[Folder, SimulatedCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    here, sim = folder
    sim.profile("orders.restore-test*", Profile(fail_rate=1.0))
    assert here.run("apply") == 0
    ask(f"{sim.urls('chronos')[0]}/v1/scheduler/job/orders.restore-test", method="PUT")
    seen("it has failed", 60, lambda: here.run("backups", "orders"))

    text = capsys.readouterr().out
    assert "NOT  orders.restore-test" in text
    assert "try: docs/mesos.md, Consoles: " in text
    assert "try: clustermesos backups" not in text, "that is what was typed"


@pytest.mark.slow
def test_a_chronos_that_starts_nothing_any_longer_leaves_no_backup_green(
    folder: tuple[Folder, SimulatedCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    here, sim = folder
    assert here.run("apply") == 0
    capsys.readouterr()
    ask(f"{sim.urls('chronos')[0]}/v1/scheduler/job/orders.backup", method="PUT")

    def last() -> str | None:
        here.run("backups", "orders.backup", "--json")
        told: str | None = said(capsys)["jobs"][0]["last_success"]
        return told

    succeeded = seen("it has succeeded", 60, last)
    assert here.run("backups", "orders") == 0
    capsys.readouterr()
    # The bug of its framework: Mesos has it, and gives it nothing.
    sim.inject(Fault(kind="framework_inactive", program="chronos", seconds=10**6))
    clock = sim.timeline.clock
    assert isinstance(clock, RunningClock)
    clock.catch_up(sim.now() + 3 * 3600)

    assert here.run("backups", "orders") == 1

    text = capsys.readouterr().out
    assert "NOT  orders.backup" in text
    assert f"overdue: last succeeded {succeeded}, and it runs hourly at minute " in text


@pytest.mark.slow
def test_without_chronos_the_platform_s_are_told_all_the_same(
    folder: tuple[Folder, SimulatedCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    here, sim = folder
    sim.inject(Fault(kind="no_answer", program="chronos", calls=1000))

    assert here.run("backups", "--timeout", "3") == 1

    text = capsys.readouterr().out
    assert "NOT  chronos" in text and "platform: consul on consul-1.eu" in text
    assert "try: clustermesos status (chronos)" in text


@pytest.mark.parametrize("folder", [False], indirect=True)
def test_a_cluster_that_saves_nothing_of_its_own_is_told_how(
    folder: tuple[Folder, SimulatedCluster], capsys: pytest.CaptureFixture[str]
) -> None:
    here, _ = folder
    assert here.run("backups") == 1, "no job is there yet"
    assert UNSAVED in capsys.readouterr().out
    assert here.run("backups", "orders") == 1
    assert UNSAVED not in capsys.readouterr().out
