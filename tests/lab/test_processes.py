"""Processes of a lab that lost their parent, or took too long: real ones, but no machine is booted here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.lab.commands import bounded
from tests.conftest import need

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("root")]
SECONDS = 60

PRELUDE = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from constructs_lib.lab.init import continue_as_child
from constructs_lib.lab import machine
from constructs_lib.errors import LabError

def states():
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(stat.parent.name)] = stat.read_text().rpartition(")")[2].split()[0]
        except OSError:
            pass
    return found

def until(what):
    end = time.monotonic() + 30
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(what())

continue_as_child()
"""


def in_namespace(text: str) -> tuple[int, Any]:
    """The exit code of a keeper that does `text` below PID 1 of a namespace, and the JSON that it printed."""
    alone = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    done = subprocess.run(
        [need("unshare"), *alone, sys.executable, "-c", PRELUDE + text],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert not done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout or "null")


def test_orphans_are_reaped_and_the_keepers_own_children_are_left_to_it() -> None:
    code, said = in_namespace("""
own = [subprocess.Popen(["sh", "-c", f"exit {number}"]) for number in range(1, 21)]
# Each leaves a process behind that ends a little later and has no parent then.
for _ in range(20):
    subprocess.run(["sh", "-c", "sleep 0.2 &"], check=True)
waiting = {process.pid for process in own}
reaped = until(lambda: set(states()) == waiting | {1, os.getpid()})
codes = [process.wait() for process in own]
print(json.dumps([os.getpid(), reaped, codes]))
sys.stdout.flush()
os._exit(3)
""")
    me, reaped, codes = said

    assert me == 2
    assert reaped
    assert codes == list(range(1, 21))
    assert code == 3


@pytest.mark.parametrize(
    ("end", "code"), [("os.kill(os.getpid(), signal.SIGKILL)", 137), ("os.kill(1, signal.SIGTERM)", 0)]
)
def test_whatever_ends_keeper_or_pid_1_ends_the_namespace(end: str, code: int, tmp_path: Path) -> None:
    name = f"{987_000_000 + os.getpid()}"
    ended, _ = in_namespace(f"""
subprocess.Popen(["sleep", {name!r}], start_new_session=True, stdout=subprocess.DEVNULL)
{end}
time.sleep(30)
""")
    running = [path for path in Path("/proc").glob("[0-9]*/cmdline") if name.encode() in _read(path)]

    assert ended == code
    assert running == []


def test_a_command_in_a_machine_that_takes_too_long_leaves_nothing_and_the_machine_ends_at_once() -> None:
    _, said = in_namespace("""
# Stands for systemd-nspawn: its child is PID 1 of the machine, which reaps.
init = "while sleep 0.1; do :; done"
command = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", init]
nspawn = subprocess.Popen(command, stderr=subprocess.DEVNULL)
here = machine.Machine(None, Path("/"), "", None)
here._nspawn = nspawn
machine.Machine.name = "master-1"
inside = until(lambda: here.leader() and Path(f"/proc/{here.leader()}/comm").read_text() == "sh\\n")
try:
    here.run("sh", "-c", "sleep 3601 & sleep 3602 & wait", timeout=1)
    error = ""
except LabError as raised:
    error = str(raised)
# Not by name: what has ended has none.
left = not until(lambda: len(states()) <= 5 and "Z" not in states().values())
os.kill(here.leader(), signal.SIGKILL)
print(json.dumps([inside, error, left, nspawn.wait(30) is not None]))
sys.stdout.flush()
os._exit(0)
""")

    assert said == [
        True,
        "master-1: sh -c sleep 3601 & sleep 3602 & wait: has not ended after 1 s",
        False,
        True,
    ]


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started() -> None:
    name = f"{986_000_000 + os.getpid()}"
    # The second one is in a process group of its own, as an interactive shell makes them.
    own_group = f"import os; os.setpgid(0, 0); os.execvp('sleep', ['sleep', {name!r}])"
    with pytest.raises(subprocess.TimeoutExpired):
        bounded(["sh", "-c", f'sleep {name} & "$0" -c "$1" & wait', sys.executable, own_group], timeout=3)
    end = time.monotonic() + 30
    while (left := _sleeping(name)) and time.monotonic() < end:
        time.sleep(0.1)

    assert left == []


def test_a_command_gets_its_input_and_says_what_it_has_to() -> None:
    done = bounded(["sh", "-c", "cat; echo bad >&2; exit 4"], timeout=30, stdin="good")

    assert (done.returncode, done.stdout, done.stderr) == (4, "good", "bad\n")
    assert bounded(["cat"], timeout=30).stdout == ""


def _sleeping(name: str) -> list[str]:
    """Processes with that word which have not ended."""
    return [path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if name.encode() in _read(path)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
