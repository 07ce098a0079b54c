"""Three masters behind real sshds: order, gates, where it stops, going on and going back."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from constructs_lib.access.ssh import end
from constructs_lib.components.model import Role
from constructs_lib.errors import RollError
from constructs_lib.roll.gate import Machine, SshGate
from constructs_lib.rollout.gates import Gates
from constructs_lib.rollout.lease import Lease
from constructs_lib.rollout.remote import CONFIRM_SECONDS, Seen, asking
from constructs_lib.rollout.run import Rollout, last_first, of_the_last_rollout
from constructs_lib.rollout.survey import NodeState, survey
from constructs_lib.rollout.targets import Target, in_order
from constructs_lib.rollout.wanted import Generation
from tests.nodes.node import OWNER
from tests.rollout.conftest import CHECKS, ONE
from tests.rollout.nodes import CONF, UNIT, Behind, ended, generation, until

pytestmark = pytest.mark.slow

TWO = generation({CONF: "two\n"}, checks=CHECKS)
WORSE = generation({CONF: "two\n"}, checks=[*CHECKS, "x"])
"""Needs a unit more, which the test can take down."""


@dataclass(frozen=True, kw_only=True)
class Ensemble(SshGate):
    """The real gate, but who leads is said by the test: there is no ZooKeeper and no Mesos master."""

    leader: str
    elected: str

    def look_at(self, machine: Machine) -> tuple[str | None, str | None]:
        return super().look_at(machine)[0], "leader" if machine.name == self.leader else "follower"

    def leads(self, machine: Machine) -> int:
        return (self.leader, self.elected).count(machine.name)


@dataclass
class Cluster:
    """The nodes, and all that was said."""

    nodes: dict[str, Behind]
    leader: str = "master-1"
    elected: str = "master-1"
    """Where the Mesos master leads."""
    timeout: float = 2
    values: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    clock: datetime = datetime(2026, 11, 26, 3, tzinfo=UTC)

    def targets(self, wanted: Generation) -> list[Target]:
        return [one.target(wanted) for one in self.nodes.values()]

    def states(self, wanted: Generation) -> tuple[NodeState, ...]:
        return survey(self.targets(wanted), lambda target: self.nodes[target.name].shell, self.values)

    @contextmanager
    def rollout(self, wanted: Generation) -> Iterator[Rollout]:
        ssh = self.nodes["master-1"].shell.ssh
        gate = Ensemble(ssh=ssh, leader=self.leader, elected=self.elected)
        gates = Gates(
            gate=gate,
            timeout=self.timeout,
            everyone=self.targets(wanted),
            leads=gate.leads,
            say=self.said.append,
        )
        with Lease(self.nodes["master-1"].shell, "alice@laptop") as lease:
            yield Rollout(
                gates=gates,
                shell_of=lambda target: self.nodes[target.name].shell,
                values=self.values,
                lease=lease,
                rollout_id=wanted.digest[:12],
                who="alice@laptop",
                say=self.said.append,
                now=self.now,
                sleep=lambda seconds: time.sleep(0.1),
            )

    def now(self) -> datetime:
        self.clock += timedelta(seconds=1)
        return self.clock

    def apply(self, wanted: Generation) -> tuple[str, ...]:
        behind = [state for state in self.states(wanted) if state.changes]
        with self.rollout(wanted) as rollout:
            return rollout.apply(behind)

    def back(self, wanted: Generation, states: Sequence[NodeState] | None = None) -> tuple[str, ...]:
        chosen = of_the_last_rollout(self.states(wanted)) if states is None else states
        with self.rollout(wanted) as rollout:
            return rollout.back(last_first(chosen))

    def confs(self) -> list[str]:
        return [one.conf() for one in self.nodes.values()]

    def break_on(self, name: str) -> None:
        (self.nodes[name].node.doubles / "inactive").write_text(f"{UNIT}\n")

    def mend(self, name: str) -> None:
        (self.nodes[name].node.doubles / "inactive").unlink()


@pytest.fixture
def cluster(nodes: dict[str, Behind]) -> Cluster:
    return Cluster(nodes)


def test_followers_change_first_and_the_leader_last_then_nothing_is_left(cluster: Cluster) -> None:
    assert cluster.apply(TWO) == ("master-2", "master-3", "master-1")
    assert cluster.confs() == ["two\n"] * 3
    assert not any(state.changes for state in cluster.states(TWO))


def test_who_leads_one_ensemble_comes_after_who_leads_none(cluster: Cluster) -> None:
    cluster.leader, cluster.elected = "master-1", "master-2"
    assert cluster.apply(TWO)[0] == "master-3"


def test_it_stops_at_the_first_that_does_not_come_back_and_says_what_to_do(cluster: Cluster) -> None:
    (cluster.nodes["master-2"].node.doubles / "inactive").write_text("x\n")

    with pytest.raises(RollError) as stopped:
        cluster.apply(WORSE)

    lines = str(stopped.value).splitlines()
    assert lines[0] == (
        "master-2: a component did not become healthy: web is not healthy: x is inactive; gave up after 2 s"
    )
    assert lines[1:] == [
        "  web: x is inactive",
        f"  last lines of {UNIT}:",
        "    first",
        "    last words",
        "Stopped at master-2. Done before: none. Not touched: master-1, master-3.",
        "  to go on:   mend what is said above, then the same again: clustermesos nodes apply",
        "  to go back: clustermesos nodes rollback master-2, or without a name this whole rollout",
    ]
    assert cluster.confs() == ["one\n", "two\n", "one\n"]


def test_a_stopped_run_goes_on_with_the_same_command_once_it_is_mended(cluster: Cluster) -> None:
    (cluster.nodes["master-3"].node.doubles / "inactive").write_text("x\n")
    with pytest.raises(
        RollError, match=r"Stopped at master-3\. Done before: master-2\. Not touched: master-1\."
    ):
        cluster.apply(WORSE)
    cluster.mend("master-3")
    assert cluster.apply(WORSE) == ("master-3", "master-1")
    assert cluster.confs() == ["two\n"] * 3


def test_a_stopped_run_goes_back_from_the_sick_node_on_and_all_are_as_before(cluster: Cluster) -> None:
    (cluster.nodes["master-3"].node.doubles / "inactive").write_text("x\n")
    with pytest.raises(RollError):
        cluster.apply(WORSE)
    assert cluster.back(WORSE) == ("master-3", "master-2")
    assert cluster.confs() == ["one\n"] * 3
    assert not any(state.changes for state in cluster.states(ONE))
    assert of_the_last_rollout(cluster.states(WORSE)) == ()


def test_a_node_whose_pinned_package_stays_is_not_said_to_be_back_and_is_named_to_go_on(
    cluster: Cluster,
) -> None:
    pinned = [{"component": "docker", "names": ["docker-ce"], "version": "29.1"}]
    newer = generation({CONF: "two\n"}, checks=CHECKS, packages=pinned)
    older = generation({CONF: "one\n"}, checks=CHECKS, packages=[pinned[0] | {"version": "28.5"}])
    dpkg = "#!/bin/sh\n# Double of dpkg-query.\nprintf 'installed {}'\n"
    node = cluster.nodes["master-2"].node
    for name in ("apt-mark", "apt-get"):
        node.double(name, f"#!/bin/sh\n# Double of {name}.\n[ $0 = {node.doubles}/apt-mark ]\n")
    for wanted, version in ((older, "28.5.2-1"), (newer, "29.1.0-1")):
        node.double("dpkg-query", dpkg.format(version))
        state = next(state for state in cluster.states(wanted) if state.target.name == "master-2")
        with cluster.rollout(wanted) as rollout:
            rollout.apply([state])

    with pytest.raises(RollError) as stopped:
        cluster.back(newer)

    assert "all else is in place, but docker-ce is 29.1.0-1 and has to be 28.5: " in str(stopped.value)
    assert "then the same again: clustermesos nodes rollback master-2" in str(stopped.value)
    assert not any("is back" in line for line in cluster.said)
    node.double("dpkg-query", dpkg.format("28.5.2-1"))
    state = next(state for state in cluster.states(newer) if state.target.name == "master-2")
    assert cluster.back(newer, [state]) == ("master-2",)
    assert cluster.nodes["master-2"].conf() == "one\n"


def test_nothing_is_touched_while_another_of_its_kind_is_sick(cluster: Cluster) -> None:
    cluster.break_on("master-3")
    with pytest.raises(RollError) as refused:
        cluster.apply(TWO)
    assert "master-2: refused, since master-3 is not healthy: without master-2, 1 of 3" in str(refused.value)
    assert cluster.confs() == ["one\n"] * 3


def test_a_sick_node_itself_may_be_changed_so_that_it_can_heal(cluster: Cluster) -> None:
    cluster.break_on("master-2")
    state = next(state for state in cluster.states(TWO) if state.target.name == "master-2")
    with cluster.rollout(TWO) as rollout, pytest.raises(RollError, match=r"web\.service is inactive"):
        rollout.apply([state])
    assert cluster.confs() == ["one\n", "two\n", "one\n"]


def test_two_operators_at_once_are_refused_by_name(cluster: Cluster) -> None:
    with (
        cluster.rollout(TWO),
        pytest.raises(RollError, match="alice@laptop changes nodes of this site; wait"),
    ):
        cluster.apply(TWO)
    assert cluster.confs() == ["one\n"] * 3
    # The lock is gone with its session.
    assert len(cluster.apply(TWO)) == 3


def test_a_lock_whose_session_is_lost_stops_before_the_next_node(cluster: Cluster) -> None:
    behind = cluster.states(TWO)
    with cluster.rollout(TWO) as rollout:
        process = rollout.lease._process
        assert process
        process.kill()
        process.wait()
        with pytest.raises(RollError, match="the lock at the gateway was lost"):
            rollout.apply(behind)
    assert cluster.confs() == ["one\n"] * 3


def test_a_rotated_secret_restarts_its_readers_and_nothing_else(cluster: Cluster) -> None:
    secret = {
        "name": "password",
        "path": "/etc/web/password",
        "owner": OWNER,
        "newline": False,
        "restarts": UNIT,
    }
    wanted = generation({CONF: "one\n"}, checks=CHECKS, secrets=[secret])
    for one in cluster.nodes.values():
        one.node.secret("password", "old")
    cluster.apply(wanted)
    for one in cluster.nodes.values():
        one.node.secret("password", "new")
        one.node.calls()

    cluster.values = {"password": "new"}
    assert len(cluster.apply(wanted)) == 3
    for one in cluster.nodes.values():
        assert one.node.at("/etc/web/password").read_text() == "new"
        assert [call for call in one.node.calls() if "restart" in call] == [f"restart {UNIT}"]


def test_a_secret_that_the_machine_was_made_without_is_brought_and_stays(cluster: Cluster) -> None:
    secret = {"name": "peer", "path": "/etc/web/peer", "owner": OWNER, "newline": False}
    wanted = replace(generation({CONF: "one\n"}, checks=CHECKS, secrets=[secret]), comes_with_machine=True)
    cluster.values = {"peer": "of-another-site"}

    assert cluster.apply(wanted) == ("master-2", "master-3", "master-1")

    assert "master-2: brings peer, which its machine was made without" in cluster.said
    assert not [line for line in cluster.said if "of-another-site" in line]
    for one in cluster.nodes.values():
        assert one.node.at("/etc/web/peer").read_text() == "of-another-site"
        assert (one.node.state / "given").stat().st_mode & 0o777 == 0o600
        assert one.node.apply("apply").returncode == 0
        one.node.secret("peer", "of-the-source")
        assert one.node.apply("apply").returncode == 0
        assert one.node.at("/etc/web/peer").read_text() == "of-the-source"


def test_a_secret_that_the_platform_does_not_have_yet_stops_the_run(cluster: Cluster) -> None:
    secret = {"name": "password", "path": "/etc/web/password", "owner": OWNER, "newline": False}
    wanted = generation({CONF: "one\n"}, checks=CHECKS, secrets=[secret])
    for one in cluster.nodes.values():
        one.node.secret("password", "old")
    cluster.values = {"password": "new"}
    with pytest.raises(RollError, match="still hands out another value of password than the one here: cdktf"):
        cluster.apply(wanted)


def test_a_run_that_dies_leaves_the_node_with_its_former_generation_and_the_next_one_heals(
    cluster: Cluster,
) -> None:
    """The operator's ssh is killed while clustermesos-apply runs: nobody confirms, so the node goes back."""
    node = cluster.nodes["master-2"]
    node.shell = replace(node.shell, confirm_seconds=1)
    with started(node, node.shell.look(TWO, {})) as process:
        assert process.stdout
        assert b"generation 2" in process.stdout.readline()
        end(process)
    until("its end", lambda: ended(node, ONE))
    assert node.conf() == "one\n"
    node.shell = replace(node.shell, confirm_seconds=CONFIRM_SECONDS)
    assert len(cluster.apply(TWO)) == 3
    assert cluster.confs() == ["two\n"] * 3


def test_a_confirmation_that_comes_too_late_is_no_success(cluster: Cluster) -> None:
    node = cluster.nodes["master-2"]
    node.shell = replace(node.shell, confirm_seconds=0)

    with pytest.raises(RollError, match="master-2: could not be reached any more, and went back by itself"):
        cluster.apply(TWO)

    until("its end", lambda: ended(node, ONE))
    assert node.conf() == "one\n"


def started(node: Behind, seen: Seen) -> subprocess.Popen[bytes]:
    """An ssh that applies TWO and that nobody waits for."""
    request = {
        "root": str(node.node.root),
        "expected": seen.wanted,
        "manifest": TWO.manifest,
        "files": {path: {"text": text, "sha256": TWO.digests()[path]} for path, text in TWO.files.items()},
        "rollout": {"id": "x", "step": 1},
        "id": "run",
        "command": "apply",
        "patience": 2,
        "confirm_seconds": node.shell.confirm_seconds,
    }
    words, stdin = asking("start", request)
    process = node.shell.ssh.start(node.shell.login, words)
    assert process.stdin
    process.stdin.write(stdin)
    process.stdin.close()
    return process


def test_what_waits_for_an_operator_is_kept_by_the_next_run(cluster: Cluster) -> None:
    node = cluster.nodes["master-2"]
    node.shell = replace(node.shell, confirm_seconds=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(node.shell), "confirm", lambda self, run_id: None)
        node.shell.apply(TWO, node.shell.look(TWO, {}), {"id": "x", "step": 1}, lambda line: None)
    (change,) = next(s for s in cluster.states(TWO) if s.target.name == "master-2").changes
    assert (change.kind, change.name) == ("apply", "confirmation")
    cluster.apply(TWO)
    assert cluster.confs() == ["two\n"] * 3
    assert (node.shell.look(TWO, {}).result or {})["state"] == "ended"


def test_roles_go_in_order_and_back_the_other_way_round(cluster: Cluster) -> None:
    roles = [Role.GATEWAY, Role.AGENT, Role.MASTER, Role.EDGE, Role.CONSUL]
    targets = [cluster.nodes["master-1"].target(TWO, role) for role in roles]
    forth = [target.role for target in in_order(targets)]
    assert forth == [Role.CONSUL, Role.MASTER, Role.AGENT, Role.EDGE, Role.GATEWAY]
    states = [NodeState(target=target, seen=None) for target in targets]
    assert [state.target.role for state in last_first(states)] == forth[::-1]
