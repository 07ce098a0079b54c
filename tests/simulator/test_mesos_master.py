"""Masters' doubles against a real ZooKeeper: who leads, who is refused, what the platform reads there."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from functools import partial
from pathlib import Path

import pytest
from kazoo.client import KazooClient

from constructs_lib.simulator.flags import stout, table
from scripts.embedded_aws import free_port
from tests.simulator.conftest import Start, ZooKeeper
from tests.simulator.masters import leader_of, leads, master, metrics, private
from tests.simulator.running import Double, ended, wait_for

CREDENTIALS = {
    "credentials": [{"principal": "agent", "secret": "hush"}, {"principal": "operator", "secret": "psst"}]
}

ONLY_AGENTS = {
    "register_agents": [
        {"principals": {"values": ["agent"]}, "agents": {"type": "ANY"}},
        {"principals": {"type": "ANY"}, "agents": {"type": "NONE"}},
    ]
}


def healthy(double: Double) -> bool:
    return double.ask("/health")[0] == 200


def redirects(double: Double) -> bool:
    return double.ask("/master/state")[0] == 307


@pytest.mark.slow
def test_one_of_three_masters_leads_and_the_others_redirect_to_it(
    start: Start, zookeeper: ZooKeeper, tmp_path: Path
) -> None:
    path = f"{zookeeper.path()}/mesos"
    masters = [master(start, zookeeper, path, tmp_path, quorum=2) for _ in range(3)]
    leader = leader_of(masters)

    for other in masters:
        wait_for("its health", partial(healthy, other), *masters)
        if other is not leader:
            wait_for("a redirect", partial(redirects, other), *masters)
            status, _ = other.ask("/redirect")
            assert status == 307
    state = leader.get("/master/state")
    assert state["leader_info"]["port"] == leader.port
    assert state["double"].startswith("clustermesos double of mesos-master")


@pytest.mark.slow
def test_the_znodes_are_those_of_mesos_and_only_its_login_writes_there(
    start: Start, zookeeper: ZooKeeper, tmp_path: Path, zk: KazooClient
) -> None:
    path = f"{zookeeper.path()}/mesos"
    double = master(start, zookeeper, path, tmp_path)
    leader_of([double])

    names = [name for name in zk.get_children(path) if name.startswith("json.info_")]
    data, found = zk.get(f"{path}/{names[0]}")
    acls, _ = zk.get_acls(path)

    assert [len(name) for name in names] == [len("json.info_0000000000")]
    assert found.ephemeralOwner != 0
    assert json.loads(data)["address"] == {"hostname": "127.0.0.1", "ip": "127.0.0.1", "port": double.port}
    assert "log_replicas" in zk.get_children(path)
    assert {(acl.id.scheme, acl.id.id, acl.perms) for acl in acls} == {
        ("digest", "mesos:x", 31),  # ZooKeeper hides the hash from others
        ("world", "anyone", 1),
    }


@pytest.mark.slow
def test_another_master_takes_over_and_the_old_one_comes_back_as_a_follower(
    start: Start, zookeeper: ZooKeeper, tmp_path: Path
) -> None:
    path = f"{zookeeper.path()}/mesos"
    masters = [master(start, zookeeper, path, tmp_path, quorum=2) for _ in range(3)]
    leader = leader_of(masters)

    leader.kill()
    rest = [double for double in masters if double is not leader]
    new = leader_of(rest)
    masters.append(master(start, zookeeper, path, tmp_path, quorum=2))

    assert new is not leader
    wait_for("a follower", lambda: masters[-1].ask("/state")[0] == 307, *masters[-2:])
    assert leads(new)


@pytest.mark.slow
def test_a_master_that_loses_its_session_while_it_leads_ends_itself(
    start: Start, zookeeper: ZooKeeper, tmp_path: Path, zk: KazooClient
) -> None:
    path = f"{zookeeper.path()}/mesos"
    double = master(start, zookeeper, path, tmp_path)
    leader_of([double])
    operator = KazooClient(zookeeper.servers, auth_data=[("digest", "mesos:top")])
    operator.start(timeout=60)
    name = next(name for name in zk.get_children(path) if name.startswith("json.info_"))
    operator.create(f"{path}/json.info_", b'{"pid": "master@127.0.0.1:1"}', ephemeral=True, sequence=True)
    operator.delete(f"{path}/{name}")

    assert double.ends() == 1
    assert "committing suicide" in double.log()
    operator.stop()
    operator.close()


@pytest.mark.slow
def test_another_password_than_the_one_that_made_the_znodes_is_refused(
    start: Start, zookeeper: ZooKeeper, tmp_path: Path
) -> None:
    path = f"{zookeeper.path()}/mesos"
    leader_of([master(start, zookeeper, path, tmp_path)])

    wrong = master(start, zookeeper, path, tmp_path, login="mesos:wrong")

    assert wrong.ends() == 1
    # Its election and its replica ask at the same time; whichever is first is refused and ends it.
    assert re.search(rf"ZooKeeper refused {re.escape(path)}(/log_replicas)? \(NoAuth\)", wrong.log())
    assert "wrong@" not in wrong.log()
    assert "mesos:wrong" not in wrong.log()


@pytest.mark.slow
def test_with_fewer_masters_than_its_quorum_the_leader_never_recovers_its_registry(
    start: Start, zookeeper: ZooKeeper, tmp_path: Path
) -> None:
    alone = master(
        start, zookeeper, f"{zookeeper.path()}/mesos", tmp_path, "--registry_fetch_timeout=15secs", quorum=2
    )
    wait_for("the election", lambda: metrics(alone).get("master/elected") == 1.0, alone)

    assert alone.ask("/state")[0] == 503
    assert metrics(alone)["registrar/log/recovered"] == 0.0
    assert alone.ends() == 1
    assert "Failed to recover registrar" in alone.log()


class Rebuilt:
    """Three masters that have recovered once, each to be started again with its log or an empty one."""

    fetch = "60secs"
    """Within which a leader has to recover its registry, or ends."""

    def __init__(self, start: Start, zookeeper: ZooKeeper, tmp_path: Path) -> None:
        self.start = start
        self.zookeeper = zookeeper
        self.path = f"{zookeeper.path()}/mesos"
        self.work = tmp_path
        self.masters = [self.master() for _ in range(3)]
        leader_of(self.masters)
        wait_for("all replicas", lambda: all(votes(each) for each in self.masters), *self.masters)
        for each in self.masters:
            each.stop()

    def master(self, keeps: Double | None = None) -> Double:
        port = keeps.port if keeps else None
        flags = (f"--registry_fetch_timeout={self.fetch}",)
        return master(self.start, self.zookeeper, self.path, self.work, *flags, quorum=2, port=port)


def votes(double: Double) -> bool:
    return metrics(double).get("registrar/log/recovered") == 1.0


@pytest.fixture
def rebuilt(start: Start, zookeeper: ZooKeeper, tmp_path: Path) -> Rebuilt:
    return Rebuilt(start, zookeeper, tmp_path)


@pytest.mark.slow
def test_two_masters_with_their_logs_go_on_and_one_without_copies_from_them(rebuilt: Rebuilt) -> None:
    two = [rebuilt.master(keeps=each) for each in rebuilt.masters[:2]]
    leader_of(two)
    third = rebuilt.master()

    wait_for("the copy", lambda: votes(third), third)
    assert "copied from a quorum" in third.log()


@pytest.mark.slow
def test_two_masters_that_lost_their_logs_at_once_never_recover(rebuilt: Rebuilt) -> None:
    rebuilt.fetch = "8secs"
    masters = [rebuilt.master(keeps=rebuilt.masters[0]), rebuilt.master(), rebuilt.master()]
    gone = wait_for(
        "the leader's end", lambda: [d for d in masters if d.process.poll() is not None], *masters
    )

    assert gone[0].process.returncode == 1
    assert "Failed to recover registrar" in gone[0].log()
    assert not any(votes(each) for each in masters[1:] if each.process.poll() is None)


@pytest.mark.slow
def test_the_first_boot_needs_all_masters(start: Start, zookeeper: ZooKeeper, tmp_path: Path) -> None:
    path = f"{zookeeper.path()}/mesos"
    two = [master(start, zookeeper, path, tmp_path, quorum=2) for _ in range(2)]
    wait_for("the election", lambda: any(metrics(d).get("master/elected") == 1.0 for d in two), *two)
    assert not any(votes(each) for each in two)

    third = master(start, zookeeper, path, tmp_path, quorum=2)
    leader_of([*two, third])
    assert sum("initialized with all others" in each.log() for each in [*two, third]) >= 1


def test_a_master_without_zookeeper_leads_by_itself(start: Start, tmp_path: Path) -> None:
    port = free_port()
    flags = ("--ip=127.0.0.1", f"--port={port}", "--no-hostname_lookup", f"--work_dir={tmp_path / 'w'}")
    leader_of([start("mesos-master", *flags, port=port)])


def login(principal: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{principal}:{secret}".encode()).decode()}


@pytest.mark.slow
def test_credentials_guard_the_operator_api_and_agents_log_in_with_theirs(
    start: Start, zookeeper: ZooKeeper, tmp_path: Path
) -> None:
    double = master(
        start,
        zookeeper,
        f"{zookeeper.path()}/mesos",
        tmp_path,
        f"--credentials=file://{private(tmp_path / 'credentials', CREDENTIALS)}",
        "--authenticate_agents",
        "--authenticate_http_readwrite=true",
        f"--acls={json.dumps(ONLY_AGENTS)}",
    )
    leader_of([double])

    def register(principal: str, secret: str) -> int:
        info = {
            "principal": principal,
            "hostname": "a",
            "resources": {"cpus": 2.0, "ports": [[31000, 32000]]},
        }
        return double.ask("/double/agent", "POST", {"info": info, "secret": secret})[0]

    assert register("agent", "wrong") == 401
    assert register("operator", "psst") == 403
    assert register("agent", "hush") == 200
    slaves = double.get("/master/slaves")["slaves"]
    assert [slave["resources"]["ports"] for slave in slaves] == ["[31000-32000]"]
    assert metrics(double)["master/slaves_active"] == 1.0
    assert double.ask("/api/v1", "POST", {"type": "GET_AGENTS"})[0] == 401
    operator = {"headers": login("operator", "psst")}
    drain = {"type": "DRAIN_AGENT", "drain_agent": {"agent_id": {"value": slaves[0]["id"]}}}
    assert double.ask("/api/v1", "POST", drain, **operator)[0] == 200
    agents = double.ask("/api/v1", "POST", {"type": "GET_AGENTS"}, **operator)[1]["get_agents"]["agents"]
    assert [agent["drain_info"]["state"] for agent in agents] == ["DRAINED"]
    assert "hush" not in double.log()


def test_every_answer_and_the_version_name_it_a_double(
    start: Start, zookeeper: ZooKeeper, tmp_path: Path
) -> None:
    double = master(start, zookeeper, f"{zookeeper.path()}/mesos", tmp_path)
    leader_of([double])
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{double.port}/health", timeout=10) as answer:
        assert answer.headers["Server"] == "clustermesos-double-of-mesos-master"
    done = ended("mesos-master", "--version")
    assert done.stdout.splitlines()[0] == "mesos 1.11.0"
    assert "double of mesos-master" in done.stdout
    assert "double of mesos-master" in double.log().splitlines()[0]


REFUSED = json.loads((Path(__file__).parent / "refused" / "mesos-master.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
def test_fails_as_the_real_one_on(case: str, tmp_path: Path) -> None:
    flags, words = REFUSED[case]["flags"], REFUSED[case]["says"]
    (tmp_path / "file").write_text("no json")
    where = [] if case == "address" else ["--ip=127.0.0.1", "--no-hostname_lookup", f"--port={free_port()}"]
    done = ended("mesos-master", *where, *(flag.replace("{tmp}", str(tmp_path)) for flag in flags))

    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_variables_are_flags_unknown_ones_are_ignored_and_the_command_line_wins(tmp_path: Path) -> None:
    known = table("mesos-master")
    environ = {
        "MESOS_QUORUM": "3",
        "MESOS_CLUSTER": "a;b",
        "MESOS_TEAPOT": "1",
        "MESOS_AUTHENTICATE_AGENTS": "",
    }
    given = stout(known, ["--quorum=2"], environ)

    assert given == {"quorum": 2, "cluster": "a;b", "authenticate_agents": True}


@pytest.mark.slow
def test_a_port_that_is_taken_is_refused(start: Start, zookeeper: ZooKeeper, tmp_path: Path) -> None:
    double = master(start, zookeeper, f"{zookeeper.path()}/mesos", tmp_path)
    leader_of([double])
    done = ended("mesos-master", "--ip=127.0.0.1", f"--port={double.port}", f"--work_dir={tmp_path / 'w'}")

    assert done.returncode == 1
    assert "Failed to bind" in done.stderr
