"""Commands of the machine that runs the lab: bounded, and their failures in one line."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from constructs_lib.errors import LabError

PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "mksquashfs": "squashfs-tools",
    "dpkg-scanpackages": "dpkg-dev",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
"""What the lab runs → the package that has it on Debian and Ubuntu."""
KILL_SECONDS = 5
"""How long a process that was killed may take to be gone; one that waits for a disk may stay longer."""
SEARCH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"


def missing() -> str | None:
    """Why there can be no lab on this machine, with what to do; None where there can."""
    if os.geteuid() != 0:
        return "the lab boots machines, which only root may do: run it with sudo"
    absent = sorted({package for program, package in PROGRAMS.items() if not which(program)})
    if absent:
        return f"programs are missing: apt-get install {' '.join(absent)}"
    if not Path("/dev/loop-control").exists():
        return "there is no /dev/loop-control: this machine's kernel or container offers no loop devices"
    return None


def which(program: str) -> str | None:
    """Where the program is, also outside a user's own PATH."""
    return shutil.which(program, path=SEARCH)


def run(
    *command: str | Path,
    timeout: float = 60,
    environ: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> str:
    """What the command prints; LabError with its last words when it fails or takes longer than `timeout`."""
    words = [str(word) for word in command]
    try:
        done = bounded(
            words, timeout=timeout, stdin=stdin, environ={**os.environ, "PATH": SEARCH, **(environ or {})}
        )
    except FileNotFoundError:
        raise LabError(f"{words[0]}: no such program") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(words)}: has not ended after {timeout:g} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise LabError(f"{' '.join(words)}: exit code {done.returncode}: {said}")
    return done.stdout


def bounded(
    words: Sequence[str],
    *,
    timeout: float,
    stdin: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """What the command said, whatever its exit code; TimeoutExpired after `timeout` seconds.

    Then, and on any other exception, no process that it started is left, unless it left the session.
    """
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environ,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(stdin, timeout=timeout)
        except BaseException:
            _end_session(process.pid)
            raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def _end_session(leader: int) -> None:
    """SIGKILL to all of it: `nsenter` and what it waits for, which would go on in its machine."""
    end = time.monotonic() + KILL_SECONDS
    while (left := _session(leader)) and time.monotonic() < end:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _session(leader: int) -> list[int]:
    """Its processes that run; those that have ended wait for their parent."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(session) == leader and state not in ("Z", "X"):
            found.append(int(stat.parent.name))
    return found


def try_run(commands: Sequence[Sequence[str | Path]]) -> None:
    """Runs all of them, whatever fails: for taking away what may be gone already."""
    for command in commands:
        try:
            run(*command)
        except LabError:
            continue
