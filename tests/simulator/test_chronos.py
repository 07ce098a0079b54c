"""Chronos' doubles: one leads, jobs outlive it, and odd answers are odd in the same way."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from kazoo.client import KazooClient

from scripts.embedded_aws import free_port
from tests.simulator.conftest import Start, ZooKeeper
from tests.simulator.masters import leader_of, master, private
from tests.simulator.running import Double, ended, wait_for

REFUSED = json.loads((Path(__file__).parent / "refused" / "chronos.json").read_text())
JOB = {"name": "backup", "command": "true", "schedule": "R/2026-01-01T00:00:00Z/PT24H"}


@pytest.mark.parametrize("case", REFUSED)
def test_fails_as_the_real_one_on(case: str) -> None:
    done = ended("chronos", *REFUSED[case]["flags"], environ=REFUSED[case].get("environ"))

    assert done.returncode == 1
    assert REFUSED[case]["says"] in done.stderr
    assert "Traceback" not in done.stderr


class Site:
    """One master and Chronos instances that start as the image starts them, their arguments in a file."""

    def __init__(self, start: Start, zookeeper: ZooKeeper, tmp_path: Path) -> None:
        self.start = start
        self.tmp_path = tmp_path
        self.servers = zookeeper.servers
        self.path = zookeeper.path()
        known = private(tmp_path / "known", {"credentials": [{"principal": "chronos", "secret": "hush"}]})
        flags = (f"--credentials={known}", "--authenticate_frameworks")
        self.master = leader_of([master(start, zookeeper, f"{self.path}/mesos", tmp_path, *flags)])

    def chronos(self) -> Double:
        port = free_port()
        arguments = (
            f"--master zk://{self.servers}{self.path}/mesos\n--zk_hosts {self.servers}\n"
            f"--zk_path {self.path}/chronos\n--zk_auth chronos:clock\n--hostname 127.0.0.1\n"
            f"--http_address 127.0.0.1\n--http_port {port}\n--mesos_framework_name chronos\n"
            "--mesos_authentication_principal chronos\n"
            f"--mesos_authentication_secret_file {private(self.tmp_path / 'secret', 'hush')}\n"
        )
        file = private(self.tmp_path / f"args-{port}", arguments)
        return self.start("chronos", f"@{file}", port=port, environ={"PORT0": str(port), "PORT1": "0"})


@pytest.fixture
def site(start: Start, zookeeper: ZooKeeper, tmp_path: Path) -> Site:
    return Site(start, zookeeper, tmp_path)


def leader(double: Double) -> str | None:
    found: str | None = (double.get("/v1/scheduler/leader") or {}).get("leader")
    return found


def active(site: Site) -> list[str]:
    frameworks = site.master.get("/master/frameworks")["frameworks"]
    return [one["name"] for one in frameworks if one["active"]]


@pytest.mark.slow
def test_jobs_and_framework_outlive_the_leader_whose_node_is_open_to_all(site: Site, zk: KazooClient) -> None:
    doubles = [site.chronos() for _ in range(2)]
    names = {wait_for("a leader", partial(leader, double), *doubles) for double in doubles}
    assert len(names) == 1
    first = next(d for d in doubles if f"127.0.0.1:{d.port}" in names)
    other = next(d for d in doubles if d is not first)
    wait_for("the framework", lambda: active(site) == ["chronos"], *doubles)
    assert other.ask("/v1/scheduler/iso8601", "POST", JOB)[0] == 204
    latches = zk.get_children(f"{site.path}/chronos/candidate")
    assert len([name for name in latches if "-latch-" in name]) == 2

    first.kill()
    wait_for("another leader", lambda: leader(other) == f"127.0.0.1:{other.port}", other)

    assert [job["name"] for job in other.get("/v1/scheduler/jobs")] == ["backup"]
    wait_for("the framework again", lambda: active(site) == ["chronos"], other)


def test_the_api_answers_as_oddly_as_chronos(site: Site) -> None:
    double = site.chronos()
    wait_for("a leader", lambda: leader(double), double)

    def post(path: str, job: object) -> int:
        return double.ask(f"/v1/scheduler/{path}", "POST", job)[0]

    assert double.get("/ping") == "pong"
    assert post("iso8601", {"command": "true", "schedule": "R//PT1H"}) == 500
    assert post("iso8601", {**JOB, "name": "a b"}) == 400
    assert post("iso8601", {**JOB, "schedule": "every day"}) == 400
    assert post("iso8601", {**JOB, "schedule": "R/1969-01-01T00:00:00Z/PT1H"}) == 400
    assert post("iso8601", {**JOB, "uris": ["a"], "fetch": [{"uri": "b"}]}) == 400
    assert post("iso8601", {**JOB, "constraints": [["rack", "IS", "1"], ["rack", "EQUALS", "1"]]}) == 204
    assert post("dependency", {"name": "after", "command": "true", "parents": ["nothing"]}) == 400
    assert post("dependency", {"name": "after", "command": "true", "parents": ["backup"]}) == 204
    assert double.get("/v1/scheduler/job/backup")["constraints"] == [["rack", "EQUALS", "1"]]
    assert double.ask("/v1/scheduler/job/nothing")[0] == 400
    assert double.ask("/v1/scheduler/job/backup", "PUT")[0] == 204
    assert double.ask("/v1/scheduler/job/after", "DELETE")[0] == 204
    assert [job["name"] for job in double.get("/v1/scheduler/jobs/search?name=back")] == ["backup"]
    assert double.get("/v1/scheduler/graph/csv") == "node,backup,fresh,idle\n"
    assert double.get("/metrics")["gauges"]


@pytest.mark.slow
def test_a_wrong_secret_ends_the_leader(site: Site) -> None:
    private(site.tmp_path / "known", {"credentials": [{"principal": "chronos", "secret": "hush"}]})
    double = site.chronos()
    (site.tmp_path / "secret").write_text("psst")

    assert double.ends() == 1
    assert "refused authentication" in double.log()
    assert "psst" not in double.log()
