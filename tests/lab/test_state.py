"""What is said of a machine whose first boot failed. No machine is booted here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

import pytest

from constructs_lib.cli.main import main
from constructs_lib.errors import LabError
from constructs_lib.lab.machine import Done, Identity, Machine
from constructs_lib.lab.state import APPLIED, HEALED, OUTPUT, RESULT, UNIT, State, look, trouble

OURS = "('scripts-user', RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands'))"
OTHER = "('apt-configure', RuntimeError('no key'))"
NEVER = "ActiveState=inactive\nExecMainStartTimestampMonotonic=0\n"
BETWEEN = "ActiveState=activating\nExecMainStartTimestampMonotonic=5\n"
ENDED = "ActiveState=inactive\nExecMainStartTimestampMonotonic=5\n"
GAVE_UP = "ActiveState=failed\nExecMainStartTimestampMonotonic=5\n"
WELL = Done(code=0, out="", err="")
MASTER = Identity(
    name="master-1",
    address=IPv4Address("10.0.0.9"),
    role="master",
    user_data="",
    secrets={},
    volume=None,
    apt_source="",
)


@dataclass
class Double:
    """Stands for a machine: its files lie below `folder`."""

    folder: Path
    unit: str = NEVER
    health: Done = WELL
    identity: Identity = MASTER
    on: bool = True

    def leader(self) -> int | None:
        return 42 if self.on else None

    def file(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def run(self, *command: str, timeout: float = 60, stdin: str | None = None) -> Done:
        if command[0] == "clustermesos-health":
            return self.health
        assert command[:2] == ("systemctl", "show")
        assert command[-1] == UNIT
        if not self.unit:
            raise LabError("master-1: systemctl: has not ended after 60 s")
        return Done(code=0, out=self.unit, err="")

    def state(self) -> State:
        return look(cast("Machine", self))


@pytest.fixture
def machine(tmp_path: Path) -> Double:
    return Double(tmp_path)


def boots(machine: Double, *errors: str, applied: bool) -> None:
    for path in (RESULT, APPLIED, OUTPUT):
        machine.file(path).parent.mkdir(parents=True, exist_ok=True)
    machine.file(RESULT).write_text(json.dumps({"v1": {"errors": errors}}))
    if applied:
        machine.file(APPLIED).symlink_to("generations/1")


def test_a_first_boot_that_a_later_attempt_healed_is_healthy_and_says_so(machine: Double) -> None:
    boots(machine, OURS, applied=True)
    machine.unit = ENDED
    state = machine.state()

    assert (state.word, state.healthy, state.broken) == ("healthy", True, False)
    assert state.about == HEALED
    assert state.errors == (OURS,)


def test_a_healed_node_that_is_not_healthy_says_both(machine: Double) -> None:
    boots(machine, OURS, applied=True)
    machine.unit, machine.health = ENDED, Done(code=1, out="web.service is failed\n", err="")
    state = machine.state()

    assert (state.word, state.healthy, state.broken) == ("unhealthy", False, False)
    assert state.about == f"web.service is failed; {HEALED}"
    assert trouble(cast("Machine", machine), state) == f"unhealthy: {state.about}"


def test_a_first_boot_that_is_tried_again_has_not_healed_yet(machine: Double) -> None:
    boots(machine, OURS, applied=False)
    machine.unit = BETWEEN
    state = machine.state()

    assert (state.word, state.healthy, state.broken) == ("retrying", False, True)
    assert state.about == OURS


@pytest.mark.parametrize("unit", [GAVE_UP, ""])
def test_a_first_boot_that_nothing_tries_again_has_failed(machine: Double, unit: str) -> None:
    boots(machine, OURS, applied=False)
    machine.unit = unit
    machine.file(OUTPUT).write_text("the last words\n")
    state = machine.state()

    assert (state.word, state.healthy, state.broken) == ("failed", False, True)
    assert trouble(cast("Machine", machine), state) == f"failed: {OURS}\n    the last words"


def test_commands_of_an_operator_that_failed_after_ours_stay_an_error(machine: Double) -> None:
    boots(machine, OURS, applied=True)
    machine.unit = NEVER

    assert machine.state().word == "failed"


def test_what_only_cloud_init_does_is_not_healed_by_our_later_attempt(machine: Double) -> None:
    boots(machine, OURS, OTHER, applied=True)
    machine.unit = ENDED

    assert machine.state().word == "failed"


def test_a_machine_without_an_error_has_no_later_attempt(machine: Double) -> None:
    boots(machine, applied=True)
    machine.unit = ""
    state = machine.state()

    assert (state.word, state.healthy, state.healed, state.about) == ("healthy", True, False, "")


def test_a_machine_is_booting_until_cloud_init_has_ended_and_off_without_power(machine: Double) -> None:
    assert machine.state().word == "booting"
    machine.on = False
    assert machine.state().word == "off"


def test_status_tells_a_healed_first_boot_and_succeeds(
    machine: Double, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    boots(machine, OURS, applied=True)
    machine.unit = ENDED

    class Kept:
        def states(self) -> list[State]:
            return [machine.state()]

    monkeypatch.setattr("constructs_lib.lab.keeper.connect", lambda workspace: Kept())

    assert main(["lab", "--file", str(tmp_path / "cluster.yaml"), "status"]) == 0
    assert capsys.readouterr().out == f"master-1  10.0.0.9         healthy    {HEALED}\n"
    assert main(["lab", "--file", str(tmp_path / "cluster.yaml"), "status", "--json"]) == 0
    [told] = json.loads(capsys.readouterr().out)
    assert (told["state"], told["healed"], told["errors"]) == ("healthy", True, [OURS])
