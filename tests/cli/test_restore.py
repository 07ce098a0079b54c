"""From the command line to the bytes: the simulator runs what the jobs carry, with the real restic."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.cli.main import main
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import Commands, Profile, RunningClock, SimulatedCluster
from constructs_lib.simulator.cluster.endpoints_file import endpoints
from constructs_lib.simulator.web import ask
from constructs_lib.spec.load import load
from tests.contracts.backups import FOLDERS, need_restic
from tests.contracts.test_restore import SAVED, SINCE, old, tree, write
from tests.lab.asking import seen

pytestmark = pytest.mark.slow

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
  backup/password: {pools: [data], made: true}
backups:
  offsite: {repository: /repository, password: backup/password}
admin:
  networks: [203.0.113.0/24]
  ssh_keys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAtWHj8rtM8QGUNPFcZG/fTVYiYrfsKyKF6Ya+W74bef night@example.org
"""
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
  backup: {volume: data, restore_test: weekly}
"""


class Orders:
    """An application with data on an agent: its folders, its cluster's folder, and the simulator."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.agent = path / "agent"
        for folder in FOLDERS.values():
            (self.agent / folder).mkdir(parents=True)
        (self.agent / "home").mkdir()
        (self.agent / "secrets" / "RESTIC_PASSWORD").write_text("not a secret")
        (path / "cluster.yaml").write_text(CLUSTER)
        (path / "contracts").mkdir()
        (path / "contracts" / "orders.yaml").write_text(CONTRACT)
        self.data = self.agent / "data"
        self.commands = Commands(
            folder=self.agent,
            environ={"PATH": os.environ["PATH"], "HOME": str(self.agent / "home")},
            replace={there: str(self.agent / here) for there, here in FOLDERS.items()},
        )

    def answered_by(self, sim: SimulatedCluster) -> None:
        self.sim = sim
        (self.path / "sim.json").write_text(json.dumps(endpoints(sim, {})))

    def cli(self, *words: str) -> int:
        options = ["--simulator", f"{self.path}/sim.json", "--file", f"{self.path}/cluster.yaml"]
        return main([*words, *options])

    def chronos_runs(self, job: str) -> None:
        """Started by Chronos, besides its schedule; to its end."""
        before = len(self.sim.runs(job))
        ask(f"{self.sim.urls('chronos')[0]}/v1/scheduler/job/{job}", method="PUT")
        (run, *_) = seen(f"{job} has run", 60, lambda: self.sim.runs(job)[before:])
        assert run.state == "TASK_FINISHED", run.output

    def instances(self) -> int:
        return sum(task.state == "TASK_RUNNING" for task in self.sim.tasks("/orders/*"))


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Orders]:
    """Deployed and saved, and then somebody emptied a table."""
    need_restic()
    found = Orders(tmp_path)
    planned = plan(load(tmp_path / "cluster.yaml"), None)
    with SimulatedCluster.of_plan(planned, clock=RunningClock(60), commands=found.commands) as sim:
        found.answered_by(sim)
        write(found.data, SAVED)
        old(found.data)
        assert found.cli("apply") == 0
        found.chronos_runs("orders.backup")
        write(found.data, SINCE)
        yield found


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_what_was_lost_is_back_after_one_command(orders: Orders) -> None:
    assert tree(orders.data) != SAVED

    assert orders.cli("restore", "orders", "--yes") == 0

    assert tree(orders.data) == SAVED
    assert seen("the application runs again", 30, orders.instances) == 1


def test_a_snapshot_that_there_is_not_stops_nothing(
    orders: Orders, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(orders.data)

    assert orders.cli("restore", "orders", "--yes", "--snapshot", "00000000") == 1

    assert tree(orders.data) == before
    err = capsys.readouterr().err
    assert "orders.find: failed" in err and "nothing was changed" in err and "stopped" not in err
    (task,) = (one for one in orders.sim.world.ended if one.owner == "orders.find")
    assert "there is no snapshot 00000000 of it" in task.spec["output"]


def test_a_login_that_breaks_off_ends_the_restore_and_starts_the_application_again(tmp_path: Path) -> None:
    found = Orders(tmp_path)
    planned = plan(load(tmp_path / "cluster.yaml"), None)
    with SimulatedCluster.of_plan(planned, clock=RunningClock(60)) as sim:
        found.answered_by(sim)
        sim.profile("orders.restore*", Profile(runs_seconds=10**6))
        assert found.cli("apply") == 0
        terminal, its_end = os.openpty()
        words = ["restore", "orders", "--yes", "--simulator", f"{tmp_path}/sim.json"]
        # As from a terminal, also where the tests run under nohup, whose children would not hear of it.
        program = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); "
        program += "from constructs_lib.cli.main import main; sys.exit(main())"
        command = [sys.executable, "-c", program, *words, "--file", f"{tmp_path}/cluster.yaml"]
        with subprocess.Popen(command, stderr=its_end) as login:
            try:
                seen("the data is being restored", 60, lambda: sim.tasks("orders.restore"))
                assert found.instances() == 0
                os.close(its_end)
                os.close(terminal)
                login.send_signal(signal.SIGHUP)
                assert login.wait(60) == 130
            finally:
                login.kill()

        assert [task.owner for task in sim.world.ended if task.owner == "orders.undo"] == ["orders.undo"]
        assert seen("it runs again", 30, found.instances) == 1
        assert not sim.tasks("orders.*")


def test_an_id_that_can_be_none_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["restore", "orders", "--snapshot", "latset"])

    assert ended.value.code == 2
    assert "got 'latset', expected latest, or an id such as 1a2b3c4d" in capsys.readouterr().err


def test_a_restore_that_fails_is_undone_before_the_application_runs_again(
    orders: Orders, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(orders.data)
    # Found by its sentinel, but what it saved can't be read any longer.
    restic = orders.agent / "bin" / "restic"
    restic.parent.mkdir()
    restic.write_text('#!/bin/sh\ncase "$1" in restore) exit 1;; esac\nexec /usr/bin/restic "$@"\n')
    restic.chmod(0o755)
    orders.commands.environ["PATH"] = f"{restic.parent}:{os.environ['PATH']}"  # type: ignore[index]  # a dict here

    assert orders.cli("restore", "orders", "--yes") == 1

    assert tree(orders.data) == before
    err = capsys.readouterr().err
    assert "orders.restore: failed" in err and "what was there before is there again" in err
    assert "orders.undo: done" in err
    assert seen("it runs again", 30, orders.instances) == 1


def test_an_application_that_a_restore_left_stopped_is_started_by_apply(orders: Orders) -> None:
    (app,) = ask(f"{orders.sim.marathon_url}/v2/apps")[1]["apps"]
    ask(f"{orders.sim.marathon_url}/v2/apps{app['id']}?force=true", "PUT", {"instances": 0})
    seen("it is stopped", 30, lambda: orders.instances() == 0)

    assert orders.cli("apply") == 0

    assert orders.instances() == 1


def test_a_backup_turns_green_by_the_restore_test_that_chronos_runs(
    orders: Orders, capsys: pytest.CaptureFixture[str]
) -> None:
    def marks() -> dict[str, tuple[bool, bool]]:
        capsys.readouterr()
        assert orders.cli("backups", "--json") == 0
        return {one["job"]: (one["good"], one["sure"]) for one in said(capsys)["jobs"]}

    assert marks()["orders.backup"] == (True, False)

    orders.chronos_runs("orders.restore-test")

    assert marks()["orders.backup"] == (True, True)
    told = (orders.agent / "metrics" / "clustermesos-orders.restore-test.prom").read_text()
    assert "clustermesos_restore_verified_timestamp_seconds{" in told
