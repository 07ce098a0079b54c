"""Commands of the machine that runs the lab: bounded, and their failures in one line."""

from __future__ import annotations

import os
import shutil
import subprocess
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
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            input=stdin,
            env={**os.environ, "PATH": SEARCH, **(environ or {})},
        )
    except FileNotFoundError:
        raise LabError(f"{words[0]}: no such program") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(words)}: has not ended after {timeout:g} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise LabError(f"{' '.join(words)}: exit code {done.returncode}: {said}")
    return done.stdout


def try_run(commands: Sequence[Sequence[str | Path]]) -> None:
    """Runs all of them, whatever fails: for taking away what may be gone already."""
    for command in commands:
        try:
            run(*command)
        except LabError:
            continue
