"""How a lab's machine is: off, booting, failed, retrying, up; and what is wrong where something is."""

from __future__ import annotations

import json
from dataclasses import dataclass

from constructs_lib.errors import LabError
from constructs_lib.lab.machine import Machine

RESULT = "/run/cloud-init/result.json"
"""cloud-init writes it when it has ended."""
OUTPUT = "/var/log/cloud-init-output.log"
APPLIED = "/var/lib/clustermesos/applied"
"""A link that `clustermesos-apply` makes when a node has become what its files say."""
UNIT = "clustermesos-apply.service"
"""Goes on after a first attempt that failed; until the next boot nothing else starts it."""
OUR_ERROR = "(runcmd)"
"""Stands in what cloud-init says of the commands that make the first attempt."""
HEALED = "its first boot failed, a later attempt succeeded"
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
    """What cloud-init says went wrong; it says so until the next boot."""
    retrying: bool = False
    """The first attempt failed and another one is under way or about to be."""
    healed: bool = False
    """The first attempt failed, but a later one made the node what its files say."""
    wrong: str
    """What `clustermesos-health` says, empty for a healthy machine."""

    @property
    def healthy(self) -> bool:
        """Booted, without an error that is left, and every component answers."""
        return self.on and self.booted and not self.broken and not self.wrong

    @property
    def broken(self) -> bool:
        """The boot has ended in an error, and no later attempt has succeeded so far."""
        return self.booted and bool(self.errors) and not self.healed

    @property
    def word(self) -> str:
        """One word for it."""
        if not self.on:
            return "off"
        if not self.booted:
            return "booting"
        if self.broken:
            return "retrying" if self.retrying else "failed"
        return "healthy" if self.healthy else "unhealthy"

    @property
    def about(self) -> str:
        """What there is to say beside that word; may be empty."""
        if self.broken:
            return "; ".join(self.errors)
        said = [self.wrong] if self.word == "unhealthy" else []
        return "; ".join([*said, HEALED] if self.healed else said)


def booted(machine: Machine) -> bool:
    """Whether cloud-init has ended on it."""
    return _cloud_init(machine)[0]


def look(machine: Machine) -> State:
    """Ask the machine now."""
    ended, errors = _cloud_init(machine)
    retrying, healed = _later_attempts(machine) if all_ours(errors) else (False, False)
    wrong = _health(machine) if ended and (healed or not errors) else "it has not booted"
    me = machine.identity
    return State(
        name=me.name,
        role=me.role,
        address=str(me.address),
        on=machine.on,
        booted=ended,
        errors=errors,
        retrying=retrying,
        healed=healed,
        wrong=wrong,
    )


def trouble(machine: Machine, state: State) -> str:
    """What is wrong with it and what it said last."""
    if state.on and state.booted and not state.broken:
        return f"{state.word}: {state.about}"
    try:
        lines = machine.file(OUTPUT).read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    said = [line for line in lines if not line.startswith(NOISE)][-LAST_LINES:]
    return f"{state.word}: {state.about}\n    " + "\n    ".join(said or ["it said nothing yet"])


def _cloud_init(machine: Machine) -> tuple[bool, tuple[str, ...]]:
    if machine.leader() is None:
        return False, ()
    try:
        result = json.loads(machine.file(RESULT).read_text())
    except (OSError, ValueError):
        return False, ()
    return True, tuple(result["v1"]["errors"])


def all_ours(errors: tuple[str, ...]) -> bool:
    """Whether there are errors, and all are of the first attempt: nothing of ours mends any other."""
    return bool(errors) and all(OUR_ERROR in error for error in errors)


def _later_attempts(machine: Machine) -> tuple[bool, bool]:
    """Whether one is under way, and whether one succeeded.

    Where the first attempt succeeded and commands of `cloud_config:` failed, there never was a later one.
    """
    try:
        asked = ("-p", "ActiveState", "-p", "ExecMainStartTimestampMonotonic")
        said = machine.run("systemctl", "show", *asked, UNIT, timeout=60).out
    except LabError:
        return False, False
    shown = dict(line.split("=", 1) for line in said.splitlines())
    if shown.get("ExecMainStartTimestampMonotonic", "0") == "0":
        return False, False
    return shown.get("ActiveState") in ("active", "activating"), machine.file(APPLIED).is_symlink()


def _health(machine: Machine) -> str:
    try:
        done = machine.run("clustermesos-health", "--brief", timeout=60)
    except LabError as error:
        return str(error)
    return "" if done.code == 0 else (done.out.strip() or done.err.strip() or f"exit code {done.code}")
