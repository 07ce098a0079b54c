"""Gates: the user's command for real, and the reading of what nodes say about themselves."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import pytest

from constructs_lib.access.ssh import Answer, Ssh
from constructs_lib.access.ssh_config import Folder
from constructs_lib.roll import gate as gate_module
from constructs_lib.roll.gate import (
    CommandGate,
    Machine,
    SshGate,
    mode_check,
    mode_command,
    read_health,
    read_mode,
    wait_until_healthy,
)


def machine(name: str, role: str = "master") -> Machine:
    return Machine(name=name, address="10.20.20.11", role=role, cluster="demo", login=f"{name}.eu")


MASTERS = tuple(machine(f"master-{number}") for number in (1, 2, 3))


def test_a_command_is_healthy_by_its_exit_code_and_knows_the_node() -> None:
    command = 'test "$NODE $ADDRESS $ROLE $CLUSTER" = "master-2 10.20.20.11 master demo"'
    assert CommandGate(command=command).look(MASTERS[1:2]) == {"master-2": None}


def test_a_command_that_fails_says_its_last_line() -> None:
    gate = CommandGate(command='echo first >&2; echo "$NODE is down" >&2; exit 3')
    assert gate.look(MASTERS[:1]) == {"master-1": "the gate command ended with 3: master-1 is down"}


def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "ASK_SECONDS", 0.2)
    (trouble,) = CommandGate(command="sleep 60").look(MASTERS[:1]).values()
    assert trouble == "the gate command gave no answer within 0.2 seconds"


def test_a_command_cannot_ask() -> None:
    assert CommandGate(command="! read answer").look(MASTERS[:1]) == {"master-1": None}


REPORT = [
    {"component": "base", "check": "unit_active", "healthy": True, "wrong": ""},
    {"component": "zookeeper", "check": "four_letter_word", "healthy": True, "wrong": ""},
]


def test_a_report_without_a_failure_is_health() -> None:
    assert read_health(json.dumps(REPORT), None) is None


def test_a_report_names_the_component_that_failed() -> None:
    report = [*REPORT, {"component": "docker", "healthy": False, "wrong": "docker.service is failed"}]
    assert read_health(json.dumps(report), "exit code 1") == "docker: docker.service is failed"


@pytest.mark.parametrize("text", ["", "null", "{}x", "[1]", '[{"component": "a"}]', '{"a": 1}'])
def test_no_report_is_not_health(text: str) -> None:
    assert read_health(text, None) == "clustermesos-health printed no report"
    assert read_health(text, "ssh: connection refused") == "ssh: connection refused"


def test_a_whole_report_of_a_command_that_failed_is_not_health() -> None:
    assert read_health(json.dumps(REPORT), "exit code 1") == "exit code 1"


@dataclass(frozen=True, kw_only=True)
class RecordedSsh(Ssh):
    """A double of ssh: healthy nodes that answer with their mode, by login; None does not answer at all.

    What is said to a node is run here by a shell, with programs that answer as the node's would.
    """

    modes: dict[str, str | None]
    programs: Path
    elected: str = ""
    """The login whose Mesos master leads."""
    logins: list[str] = field(default_factory=list)

    def run(self, host: str, words: Sequence[str], *, timeout: float, **_: object) -> Answer:
        self.logins.append(host)
        mode = self.modes[host]
        if mode is None:
            return Answer(code=255, out="", err="ssh: connect to host: Connection refused")
        said = {
            "clustermesos-health": json.dumps(REPORT, indent=2),
            "/metrics/snapshot": f'HTTP/1.0 200 OK\r\n\r\n{{"master/elected":{float(host == self.elected)}}}',
            "srvr": f"Zookeeper version: 3.9.6\nMode: {mode}\nNode count: 5\n",
        }
        own = self.programs / host
        own.mkdir(exist_ok=True)
        for program in ("sudo", "bash"):
            lines = [f"*{sign}*) printf %s {shlex.quote(text)};;" for sign, text in said.items()]
            other = "*) echo noise on standard error >&2; exit 1;;"
            file = own / program
            file.write_text("\n".join(["#!/bin/sh", 'case "$*" in', *lines, other, "esac"]))
            file.chmod(0o755)
        environ = {"PATH": f"{own}:/usr/bin:/bin"}
        command = ["/bin/sh", "-c", *words]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr)


def ssh_to(programs: Path, *modes: str | None, elected: str = "") -> RecordedSsh:
    """To master-1 and so on, of these modes."""
    answers = {f"master-{number}.eu": mode for number, mode in enumerate(modes, 1)}
    return RecordedSsh(folder=Folder(Path()), modes=answers, programs=programs, elected=elected)


def look(programs: Path, *modes: str | None) -> dict[str, str | None]:
    return SshGate(ssh=ssh_to(programs, *modes)).look(MASTERS[: len(modes)])


def test_one_leader_and_two_followers_are_healthy(tmp_path: Path) -> None:
    assert not any(look(tmp_path, "follower", "leader", "follower").values())


def test_three_followers_without_a_leader_are_not_though_each_says_it_is_well(tmp_path: Path) -> None:
    assert set(look(tmp_path, "follower", "follower", "follower").values()) == {
        "ZooKeeper has 0 leaders (none), expected one"
    }


def test_only_the_one_that_does_not_answer_is_sick(tmp_path: Path) -> None:
    answers = look(tmp_path, "follower", "leader", None)
    assert [name for name, trouble in answers.items() if trouble] == ["master-3"]
    assert "Connection refused" in str(answers["master-3"])


def test_only_roles_with_an_ensemble_are_asked_who_leads() -> None:
    assert mode_check("master") == (2181, "srvr")
    assert mode_check("agent") is None


def test_who_leads_two_ensembles_leads_more_than_who_leads_one(tmp_path: Path) -> None:
    gate = SshGate(ssh=ssh_to(tmp_path, "follower", "leader", "leader", elected="master-3.eu"))
    assert [gate.leads(machine) for machine in MASTERS] == [0, 1, 2]


def test_who_does_not_answer_leads_nothing(tmp_path: Path) -> None:
    assert SshGate(ssh=ssh_to(tmp_path, None)).leads(MASTERS[0]) == 0


def test_a_role_that_leads_nothing_is_not_even_asked(tmp_path: Path) -> None:
    ssh = ssh_to(tmp_path)
    assert SshGate(ssh=ssh).leads(machine("general-1", "agent")) == 0
    assert ssh.logins == []


def test_a_node_is_logged_in_to_once_for_all_that_a_gate_asks(tmp_path: Path) -> None:
    ssh = ssh_to(tmp_path, "follower", "leader", "follower")
    gate = SshGate(ssh=ssh)

    gate.look(MASTERS)
    assert sorted(ssh.logins) == ["master-1.eu", "master-2.eu", "master-3.eu"]
    gate.leads(MASTERS[0])
    assert len(ssh.logins) == 4


def test_what_else_is_asked_does_not_hide_why_the_health_could_not_be(tmp_path: Path) -> None:
    class Denied(RecordedSsh):
        def run(self, host: str, words: Sequence[str], *, timeout: float, **_: object) -> Answer:
            denied = [
                word.replace("sudo -n clustermesos-health", "echo sudo: denied >&2; false") for word in words
            ]
            return super().run(host, denied, timeout=timeout)

    ssh = Denied(folder=Folder(Path()), modes={"master-1.eu": "follower"}, programs=tmp_path)
    assert SshGate(ssh=ssh).look(MASTERS[:1]) == {"master-1": "exit code 1: sudo: denied"}


def test_the_mode_is_asked_over_tcp_by_bash_alone() -> None:
    """A listener that answers as ZooKeeper does, asked by the very command that runs on the node."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        asked: list[bytes] = []

        def answer() -> None:
            client, _ = server.accept()
            with client:
                asked.append(client.recv(4))
                client.sendall(b"Mode: follower\n")
                # Whoever closes with something unread takes the answer back.
                client.shutdown(socket.SHUT_WR)
                while client.recv(16):
                    pass

        thread = Thread(target=answer)
        thread.start()
        command = mode_command(server.getsockname()[1], "srvr")
        said = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
        thread.join()
    assert (asked, read_mode(said)) == ([b"srvr"], "follower")


class Scripted:
    """A double of a gate: one set of answers after the other, the last for ever."""

    def __init__(self, *rounds: dict[str, str | None]) -> None:
        self.rounds = list(rounds)

    def look(self, machines: Sequence[Machine]) -> dict[str, str | None]:
        return self.rounds.pop(0) if len(self.rounds) > 1 else self.rounds[0]


class Clock:
    """A double of the clock: only sleeping takes time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_waiting_ends_as_soon_as_all_are_healthy_and_tells_only_what_is_new() -> None:
    said: list[str] = []
    clock = Clock()
    gate = Scripted({"a": "booting"}, {"a": "booting"}, {"a": None})
    answers = wait_until_healthy(gate, (), timeout=60, say=said.append, clock=clock, sleep=clock.sleep)
    assert answers == {"a": None}
    assert said == ["  a: booting", "  a: healthy"]
    assert clock.now == 1 + 2


def test_the_pauses_grow_to_the_longest() -> None:
    clock = Clock()
    booting: dict[str, str | None] = {"a": "booting"}
    gate = Scripted(*[booting] * 8, {"a": None})
    wait_until_healthy(gate, (), timeout=60, say=lambda line: None, clock=clock, sleep=clock.sleep)
    assert clock.now == 1 + 2 + 3 + 4 + 4 * gate_module.PAUSE_SECONDS


def test_waiting_ends_at_the_timeout_with_the_last_answer() -> None:
    clock = Clock()
    gate = Scripted({"a": "booting"})
    answers = wait_until_healthy(gate, (), timeout=12, say=lambda line: None, clock=clock, sleep=clock.sleep)
    assert answers == {"a": "booting"}
    assert clock.now == 12
