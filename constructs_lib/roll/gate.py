"""Is a node healthy? The question that a roll asks before and after each replacement."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from constructs_lib.access.ssh import Ssh
from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import FourLetterWord
from constructs_lib.roll.quorum import ensemble_trouble

ASK_SECONDS = 30.0
"""The longest that one question to one node may take."""
FIRST_PAUSE_SECONDS = 1.0
PAUSE_SECONDS = 5.0
"""The longest pause between two looks; the first ones are shorter, since most nodes are well by then."""
AT_ONCE = 5
"""Logins at the same time: sshd drops some of more than ten that are not through yet (MaxStartups)."""
HEALTH_COMMAND = "sudo -n clustermesos-health"
BETWEEN = "clustermesos-next-answer"
"""The line between what two commands of one login print."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a gate has to know of a node; `login` is what the SSH configuration calls it."""

    name: str
    address: str
    role: str
    cluster: str
    login: str


class Gate(Protocol):
    """Asks each machine once."""

    def look(self, machines: Sequence[Machine]) -> dict[str, str | None]:
        """Machine name → what is wrong, None for a healthy one."""


@dataclass(frozen=True, kw_only=True)
class CommandGate:
    """The user's own shell command: exit code 0 is healthy, its last line says what is not.

    It gets NODE, ADDRESS, ROLE and CLUSTER in its environment, and at most ASK_SECONDS.
    """

    command: str
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def look(self, machines: Sequence[Machine]) -> dict[str, str | None]:
        """Machine name → what is wrong, None for a healthy one."""
        return {machine.name: self._ask(machine) for machine in machines}

    def _ask(self, machine: Machine) -> str | None:
        about = {
            "NODE": machine.name,
            "ADDRESS": machine.address,
            "ROLE": machine.role,
            "CLUSTER": machine.cluster,
        }
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", self.command],
                env={**self.environ, **about},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=ASK_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"the gate command gave no answer within {ASK_SECONDS:g} seconds"
        if done.returncode == 0:
            return None
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        return f"the gate command ended with {done.returncode}" + (f": {said[-1]}" if said else "")


@dataclass(frozen=True, kw_only=True)
class SshGate:
    """Asks every machine's own `clustermesos-health` through the gateway, and an ensemble who leads it."""

    ssh: Ssh

    def look(self, machines: Sequence[Machine]) -> dict[str, str | None]:
        """Machine name → what is wrong, None for a healthy one."""
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            found = dict(zip(machines, pool.map(self.look_at, machines), strict=True))
        wrong = {machine.name: trouble for machine, (trouble, _) in found.items()}
        if any(wrong.values()):
            return wrong
        # Each may be well for itself and all of them still no ensemble: only the modes together tell.
        modes = {machine.name: mode for machine, (_, mode) in found.items() if mode_check(machine.role)}
        return dict.fromkeys(wrong, ensemble_trouble(modes))

    def look_at(self, machine: Machine) -> tuple[str | None, str | None]:
        """What is wrong with it, and what it is in its role's ensemble."""
        mode = mode_check(machine.role)
        commands = [HEALTH_COMMAND, *([mode_command(*mode)] if mode else [])]
        trouble, (health, *modes) = self._answers(machine, commands)
        return read_health(health, trouble), read_mode("".join(modes))

    def leads(self, machine: Machine) -> int:
        """Of how many ensembles of its role it is the leader; 0 without an answer."""
        mode, pages = mode_check(machine.role), lead_checks(machine.role)
        commands = ([mode_command(*mode)] if mode else []) + [page_command(*page[:2]) for page in pages]
        if not commands:
            return 0
        said = self._answers(machine, commands)[1]
        leads = [read_mode(said.pop(0)) == "leader"] if mode else []
        return sum(leads) + sum(words in page for (_, _, words), page in zip(pages, said, strict=True))

    def _answers(self, machine: Machine, commands: Sequence[str]) -> tuple[str | None, list[str]]:
        """What the first command's end came to, and what each of them printed, empty without an answer.

        All by one connection: through a gateway it costs two logins, more than all that is asked.
        """
        first, *others = commands
        rest = "".join(f"; echo; echo {BETWEEN}; {command} 2>/dev/null" for command in others)
        said = self.ssh.run(machine.login, (f"{first}; code=$?{rest}; exit $code",), timeout=ASK_SECONDS)
        texts = said.out.split(f"\n{BETWEEN}\n")
        return said.trouble, texts + [""] * (len(commands) - len(texts))


def mode_check(role: str) -> tuple[int, str] | None:
    """The port and the word by which a role's ensemble says who leads; None where it has no ensemble."""
    for component in COMPONENTS:
        for check in component.health:
            if isinstance(check, FourLetterWord) and "leader" in check.modes and role in component.roles:
                return component.port(check.port).number, check.word
    return None


def mode_command(port: int, word: str) -> str:
    """What to run on the node: bash speaks TCP, so nothing has to be installed."""
    ask = f"exec 3<>/dev/tcp/127.0.0.1/{port} && printf {word} >&3 && timeout 5 cat <&3"
    return f"bash -c {shlex.quote(ask)}"


def lead_checks(role: str) -> tuple[tuple[int, str, str], ...]:
    """Port, path and words by which the one that leads is known, of each component that declares it."""
    return tuple(
        (component.port(component.leads.port).number, component.leads.path, component.leads.contains)
        for component in COMPONENTS
        if component.leads and role in component.roles
    )


def page_command(port: int, path: str) -> str:
    """What to run on the node: the page as the program there gives it, head included."""
    ask = (
        rf"exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET {path} HTTP/1.0\r\n\r\n' >&3 && timeout 5 cat <&3"
    )
    return f"bash -c {shlex.quote(ask)}"


def read_mode(text: str) -> str | None:
    """`leader` of ZooKeeper's line `Mode: leader`; None when there is no such line."""
    return next((line[6:].strip() for line in text.splitlines() if line.startswith("Mode: ")), None) or None


def read_health(text: str, trouble: str | None) -> str | None:
    """What is wrong, None for nothing.

    `text` is what `clustermesos-health` printed: a list of {component, check, healthy, wrong}; `trouble` is
    what running it came to.
    """
    try:
        checks = json.loads(text)
        failed = [f"{check['component']}: {check['wrong']}" for check in checks if not check["healthy"]]
    except (ValueError, KeyError, TypeError):
        # No report: what ssh or sudo said is the better word, and a healthy exit without one is no health.
        return trouble or "clustermesos-health printed no report"
    return "; ".join(failed) or trouble


def wait_until_healthy(
    gate: Gate,
    machines: Sequence[Machine],
    *,
    timeout: float,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, str | None]:
    """Ask until all are healthy or `timeout` seconds have passed; the last answers, and `say` each that
    is new.
    """
    end, pause = clock() + timeout, FIRST_PAUSE_SECONDS
    told: dict[str, str | None] = {}
    while True:
        answers = gate.look(machines)
        for name, wrong in answers.items():
            if name not in told or told[name] != wrong:
                say(f"  {name}: {wrong or 'healthy'}")
        told = answers
        if not any(answers.values()):
            return answers
        left = end - clock()
        if left <= 0:
            return answers
        sleep(min(pause, left))
        pause = min(pause + 1, PAUSE_SECONDS)
