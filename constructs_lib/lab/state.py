"""How a lab's machine is: off, booting, failed, up; and what is wrong where something is."""

from __future__ import annotations

import json
from dataclasses import dataclass

from constructs_lib.errors import LabError
from constructs_lib.lab.machine import Machine

RESULT = "/run/cloud-init/result.json"
"""cloud-init writes it when it has ended."""
OUTPUT = "/var/log/cloud-init-output.log"
LAST_LINES = 5
NOISE = ("ci-info:", "<14>", "-----", "ssh-")
"""Beginnings of lines about host keys, which cloud-init prints last of all."""


@dataclass(frozen=True, kw_only=True)
class State:
    """One look at a machine."""

    name: str
    role: str
    address: str
    on: bool
    booted: bool
    errors: tuple[str, ...]
    """What cloud-init says went wrong."""
    wrong: str
    """What `clustermesos-health` says, empty for a healthy machine."""

    @property
    def healthy(self) -> bool:
        """Booted, without an error, and every component answers."""
        return self.on and self.booted and not self.errors and not self.wrong

    @property
    def broken(self) -> bool:
        """The boot has ended in an error: waiting cures nothing."""
        return self.booted and bool(self.errors)

    @property
    def word(self) -> str:
        """One word for it."""
        if not self.on:
            return "off"
        if not self.booted:
            return "booting"
        return "failed" if self.errors else "healthy" if self.healthy else "unhealthy"


def booted(machine: Machine) -> bool:
    """Whether cloud-init has ended on it."""
    return _cloud_init(machine)[0]


def look(machine: Machine) -> State:
    """Ask the machine now."""
    ended, errors = _cloud_init(machine)
    wrong = _health(machine) if ended and not errors else "it has not booted"
    me = machine.identity
    return State(
        name=me.name,
        role=me.role,
        address=str(me.address),
        on=machine.on,
        booted=ended,
        errors=errors,
        wrong=wrong,
    )


def trouble(machine: Machine, state: State) -> str:
    """What is wrong with it and what it said last."""
    if state.on and state.booted and not state.errors:
        return f"{state.word}: {state.wrong}"
    try:
        lines = machine.file(OUTPUT).read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    said = [line for line in lines if not line.startswith(NOISE)][-LAST_LINES:]
    return f"{state.word}: {'; '.join(state.errors)}\n    " + "\n    ".join(said or ["it said nothing yet"])


def _cloud_init(machine: Machine) -> tuple[bool, tuple[str, ...]]:
    if machine.leader() is None:
        return False, ()
    try:
        result = json.loads(machine.file(RESULT).read_text())
    except (OSError, ValueError):
        return False, ()
    return True, tuple(result["v1"]["errors"])


def _health(machine: Machine) -> str:
    try:
        done = machine.run("clustermesos-health", "--brief", timeout=60)
    except LabError as error:
        return str(error)
    return "" if done.code == 0 else (done.out.strip() or done.err.strip() or f"exit code {done.code}")
