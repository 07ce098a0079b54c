"""policy-rc.d while packages are installed, and the machine's own before and after; apt is a double."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.nodes.node import Node
from tests.nodes.test_packages import DOUBLE

POLICY = "/usr/sbin/policy-rc.d"
OWN = '#!/bin/sh\necho "own $*" >>"$DOUBLES/answers"\nexit 42\n'
SYSTEMCTL = """#!/bin/sh
# Double of systemctl: what $DOUBLES/running names has run since the boot.
if [ "$1 $3" = "show ActiveEnterTimestampMonotonic" ]; then
    if grep -qx "$4" "$DOUBLES/running" 2>/dev/null; then echo 4711; else echo 0; fi
fi
"""
APT = """#!/bin/sh
# Double of apt-get: a package asks whether it may, as ASKED says, a question a line.
case "$*" in *install*) ;; *) exit 0 ;; esac
while read -r question; do
    "$POLICY" $question
    echo "$question: $?" >>"$DOUBLES/answers"
done <"$DOUBLES/asked"
exit "$(cat "$DOUBLES/code")"
"""


class Machine:
    """A node that lacks a package."""

    def __init__(self, folder: Path) -> None:
        self.node = Node(folder)
        self.policy = self.node.at(POLICY)
        self.policy.parent.mkdir(parents=True)
        self.node.at("/run").mkdir()
        self.node.double("systemctl", SYSTEMCTL)
        self.node.double("apt-get", APT)
        self.node.double("dpkg-query", DOUBLE.replace("{name}", "dpkg-query"))
        self.node.double("deb-systemd-invoke", '#!/bin/sh\n# Double.\necho "$*" >>"$DOUBLES/late"\n')

    def own(self, text: str = OWN) -> None:
        self.policy.write_text(text)
        self.policy.chmod(0o755)

    def install(self, *questions: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        (self.node.doubles / "asked").write_text("".join(f"{question}\n" for question in questions))
        (self.node.doubles / "code").write_text(str(code))
        self.node.send({}, packages=[{"names": ["web"]}])
        return subprocess.run(
            self.node.command("apply"),
            capture_output=True,
            text=True,
            check=False,
            env=self.node.environment() | {"POLICY": str(self.policy)},
            timeout=180,
        )

    def noted(self, name: str) -> list[str]:
        path = self.node.doubles / name
        return path.read_text().splitlines() if path.exists() else []

    def left(self) -> list[str]:
        return sorted(path.name for path in self.policy.parent.iterdir())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_only_what_has_not_run_is_held_back_and_names_can_be_looked_up(machine: Machine) -> None:
    (machine.node.doubles / "running").write_text("web.service\n")
    questions = ("web.service start", "db.service start", "db.service stop", "db.service restart")

    done = machine.install(*questions, "--quiet old start 5", "systemd-resolved.service start")

    assert done.returncode == 0, done.stderr
    assert machine.noted("answers") == [
        "web.service start: 0",
        "db.service start: 101",
        "db.service stop: 0",
        "db.service restart: 0",
        "--quiet old start 5: 101",
        "systemd-resolved.service start: 0",
    ]
    assert machine.noted("late") == ["start db.service", "start old.service"]
    assert machine.left() == []


def test_the_machines_own_policy_is_asked_too_and_comes_back(machine: Machine) -> None:
    machine.own()

    assert machine.install("db.service start", "--quiet db restart 5").returncode == 0

    assert machine.noted("answers") == [
        "db.service start: 101",
        "own --quiet db restart 5",
        "--quiet db restart 5: 42",
    ]
    assert machine.policy.read_text() == OWN
    assert machine.left() == ["policy-rc.d"]


def test_an_alternative_that_dangles_comes_back_as_it_was(machine: Machine) -> None:
    machine.policy.symlink_to("/etc/alternatives/policy-rc.d")

    assert machine.install("db.service start").returncode == 0

    assert machine.noted("answers") == ["db.service start: 101"]
    assert str(machine.policy.readlink()) == "/etc/alternatives/policy-rc.d"


@pytest.mark.parametrize("own", [True, False], ids=["with a policy of its own", "without one"])
def test_an_installation_that_fails_leaves_the_machine_with_its_own_policy(
    machine: Machine, own: bool
) -> None:
    if own:
        machine.own()

    assert machine.install("db.service start", code=100).returncode == 1

    assert machine.left() == (["policy-rc.d"] if own else [])


def test_what_was_held_back_by_an_attempt_that_failed_is_started_by_the_next(machine: Machine) -> None:
    assert machine.install("db.service start", code=100).returncode == 1
    assert machine.noted("late") == []

    assert machine.install().returncode == 0

    assert machine.noted("late") == ["start db.service"]
    assert not [*machine.node.at("/run").iterdir()]


@pytest.mark.parametrize("own", [True, False], ids=["with a policy of its own", "without one"])
@pytest.mark.parametrize("command", ["boot", "apply"])
def test_what_a_power_cut_left_goes_at_the_next_run(machine: Machine, command: str, own: bool) -> None:
    killed = '#!/bin/sh\n# Double.\ncase "$*" in *install*) kill -9 "$PPID" ;; esac\n'
    if own:
        machine.own()
    machine.node.send({})
    assert machine.node.apply("first-boot").returncode == 0
    machine.node.double("apt-get", killed)
    assert machine.install().returncode == -9
    assert machine.left() == ["policy-rc.d", *(["policy-rc.d.clustermesos"] if own else [])]
    (machine.node.doubles / "installed").mkdir()
    (machine.node.doubles / "installed/web").write_text("installed 1.0")

    done = machine.node.apply(command)

    assert done.returncode == 0, done.stderr
    assert machine.left() == (["policy-rc.d"] if own else [])
    assert not own or machine.policy.read_text() == OWN


def test_a_power_cut_between_both_renames_loses_no_policy(machine: Machine) -> None:
    machine.own()
    machine.policy.rename(f"{machine.policy}.clustermesos")

    assert machine.install("db.service start").returncode == 0

    assert machine.policy.read_text() == OWN
    assert machine.left() == ["policy-rc.d"]
