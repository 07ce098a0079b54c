"""Marathon's doubles: election with a login in ZooKeeper, failover with its apps, and what it refuses."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError

from scripts.embedded_aws import free_port
from tests.simulator.conftest import Start, ZooKeeper
from tests.simulator.masters import leader_of, master, private
from tests.simulator.running import Double, ended, wait_for

REFUSED = json.loads((Path(__file__).parent / "refused" / "marathon.json").read_text())
CREDENTIALS = {"credentials": [{"principal": "marathon", "secret": "hush"}]}
APP = {"id": "/web", "cmd": "sleep 1", "instances": 2}


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
def test_fails_as_the_real_one_on(case: str) -> None:
    done = ended("marathon", *REFUSED[case]["flags"], environ=REFUSED[case].get("environ"))

    assert done.returncode == 112
    assert REFUSED[case]["says"] in done.stderr
    assert "Traceback" not in done.stderr


class Site:
    """Masters, and Marathons with other logins, in one ZooKeeper."""

    def __init__(self, start: Start, zookeeper: ZooKeeper, tmp_path: Path) -> None:
        self.start = start
        self.servers = zookeeper.servers
        self.path = zookeeper.path()
        self.secret = private(tmp_path / "secret", "hush")
        known = private(tmp_path / "known", CREDENTIALS)
        flags = (f"--credentials={known}", "--authenticate_frameworks")
        self.masters = [
            master(start, zookeeper, f"{self.path}/mesos", tmp_path, *flags, quorum=2) for _ in range(3)
        ]
        self.leader = leader_of(self.masters)

    def marathon(self, login: str = "marathon:pot", secret: Path | None = None, **environ: str) -> Double:
        port = free_port()
        variables = {
            "MARATHON_MASTER": f"zk://{self.servers}{self.path}/mesos",
            "MARATHON_ZK": f"zk://{login}@{self.servers}{self.path}/marathon",
            "MARATHON_HOSTNAME": "127.0.0.1",
            "MARATHON_HTTP_PORT": str(port),
            "MARATHON_HTTP_ADDRESS": "127.0.0.1",
            "MARATHON_MESOS_AUTHENTICATION": "",
            "MARATHON_MESOS_AUTHENTICATION_PRINCIPAL": "marathon",
            "MARATHON_MESOS_AUTHENTICATION_SECRET_FILE": str(secret or self.secret),
            **environ,
        }
        return self.start("marathon", port=port, environ=variables)


@pytest.fixture
def site(start: Start, zookeeper: ZooKeeper, tmp_path: Path) -> Site:
    return Site(start, zookeeper, tmp_path)


def info(double: Double) -> dict[str, Any]:
    return double.get("/v2/info") or {}


def ready(double: Double) -> str | None:
    """The leader that it names, once that one is registered with Mesos."""
    return double.get("/v2/leader")["leader"] if info(double).get("frameworkId") else None


@pytest.mark.slow
def test_one_leads_the_others_proxy_and_apps_and_framework_outlive_it(site: Site, zk: KazooClient) -> None:
    doubles = [site.marathon() for _ in range(3)]
    leaders = {wait_for("a leader", partial(ready, double), *doubles) for double in doubles}
    assert len(leaders) == 1
    leader = next(d for d in doubles if f"127.0.0.1:{d.port}" in leaders)
    others = [d for d in doubles if d is not leader]
    framework = info(leader)["frameworkId"]
    assert others[0].ask("/v2/apps/web", "PUT", APP)[0] == 201
    assert others[0].ask("/v2/apps/web", "PUT", {"instances": 3})[0] == 409
    with pytest.raises(NoAuthError):
        zk.get_children(f"{site.path}/marathon")
    zk.add_auth("digest", "marathon:pot")
    latches = zk.get_children(f"{site.path}/marathon/leader-curator")

    leader.kill()
    wait_for("another leader", lambda: ready(others[0]) not in (None, *leaders), *others)

    assert len([name for name in latches if name.startswith("_c_") and "-latch-" in name]) == 3
    assert info(others[0])["frameworkId"] == framework
    apps = wait_for("the app, deployed", lambda: deployed(others[1]), *others)
    assert [(app["id"], app["tasksRunning"]) for app in apps] == [("/web", 2)]
    frameworks = site.leader.get("/master/frameworks")["frameworks"]
    assert [(f["name"], f["active"], f["id"]) for f in frameworks] == [("marathon", True, framework)]


def deployed(double: Double) -> list[dict[str, Any]]:
    apps = (double.get("/v2/apps") or {}).get("apps", [])
    return [app for app in apps if not app["deployments"]]


@pytest.mark.slow
def test_it_registers_again_when_another_mesos_master_leads(site: Site) -> None:
    double = site.marathon()
    wait_for("a leader", lambda: ready(double), double)
    framework = info(double)["frameworkId"]

    site.leader.kill()
    new = leader_of([other for other in site.masters if other is not site.leader])
    found = wait_for("the framework there", lambda: new.get("/frameworks")["frameworks"], double, new)

    assert [one["id"] for one in found] == [framework]
    assert double.process.poll() is None


@pytest.mark.slow
def test_another_password_in_zookeeper_is_refused_below_its_own_path(site: Site) -> None:
    first = site.marathon()
    wait_for("a leader", lambda: ready(first), first)

    wrong = site.marathon(login="marathon:pan")

    assert wrong.ends() == 1
    assert f"ZooKeeper refused {site.path}/marathon/leader-curator (NoAuth)" in wrong.log()
    assert "pan" not in wrong.log()


@pytest.mark.slow
def test_a_newline_after_the_secret_ends_it_as_mesos_refuses_it(site: Site, tmp_path: Path) -> None:
    double = site.marathon(secret=private(tmp_path / "newline", "hush\n"))

    assert double.ends() == 106
    assert "refused authentication" in double.log()
    assert "hush" not in double.log()


def test_a_lost_zookeeper_at_the_start_is_exit_code_100(tmp_path: Path) -> None:
    flags = ["--master", "h:5050", "--zk", f"zk://127.0.0.1:{free_port()}/marathon"]
    port = ["--http_address", "127.0.0.1", "--http_port", str(free_port())]
    done = ended("marathon", *flags, *port, "--zk_connection_timeout", "500")

    assert done.returncode == 100
    assert "Failed to connect to ZooKeeper" in done.stderr


@pytest.mark.slow
def test_the_api_refuses_what_marathon_refuses_in_its_shapes(site: Site) -> None:
    double = site.marathon(MARATHON_METRICS_PROMETHEUS="")
    wait_for("a leader", lambda: ready(double), double)

    status, wrong = double.ask("/v2/apps//Web", "PUT", {"cmd": "x", "args": ["x"], "instances": -1})
    assert status == 422
    assert wrong["message"] == "Object is not valid"
    assert {detail["path"] for detail in wrong["details"]} == {"/id", "/", "/instances"}
    assert double.ask("/v2/apps/web", "PUT", b"{")[0] == 400
    assert double.ask("/v2/apps/web")[0] == 404
    assert double.ask("/v2/apps", "POST", APP)[0] == 201
    assert double.ask("/v2/apps", "POST", APP)[0] == 409
    wait_for("the deployment", lambda: double.get("/v2/deployments") == [], double)
    status, done = double.ask("/v2/apps/web", "DELETE")
    assert (status, set(done)) == (200, {"version", "deploymentId"})
    assert double.get("/ping") == "pong"
    assert "marathon_leadership_gauge 1.0" in double.get("/metrics/prometheus")
    assert double.get("/metrics")["gauges"]
    shown = json.dumps(info(double))
    assert "double of marathon" in shown
    assert "pot" not in shown


@pytest.mark.slow
def test_http_credentials_guard_every_path(site: Site) -> None:
    double = site.marathon(MARATHON_HTTP_CREDENTIALS="admin:secret")
    answered = wait_for("an answer", lambda: answer_of(double, "/ping"), double)

    assert answered == 401
    headers = {"Authorization": "Basic YWRtaW46c2VjcmV0"}
    assert double.ask("/ping", headers=headers)[0] == 200


def answer_of(double: Double, path: str) -> int | None:
    try:
        return double.ask(path)[0]
    except OSError:
        return None
