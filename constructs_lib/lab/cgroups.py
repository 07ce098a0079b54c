"""A control group per machine, so that their systemds stay apart and a machine can be slowed down."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
LOCKS = Path("/run/lock")
PREFIX = "clustermesos-lab"
V1 = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd", "unified")
GOING_SECONDS = 10
"""A group is busy until the last of its processes is gone for good."""
PERIOD = 100_000
"""Microseconds of the period that a CPU quota is counted over."""


class Cgroups:
    """The groups of one lab, `clustermesos-lab-<name>-<random>/<machine>` in every hierarchy that is mounted.

    While this object lives it holds a lock that tells other labs so.
    """

    def __init__(self, name: str) -> None:
        self._top = f"{PREFIX}-{name}-{secrets.token_hex(4)}"
        self._lock = (LOCKS / self._top).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def make(self, machine: str) -> list[Path]:
        """The machine's groups, made where they are missing; processes enter by their `cgroup.procs`."""
        groups = []
        for hierarchy in _hierarchies():
            for group in (hierarchy / self._top, hierarchy / self._top / machine):
                group.mkdir(exist_ok=True)
                _inherit_cpuset(group)
            groups.append(group)
        return groups

    def limit_cpu(self, machine: str, percent: int | None) -> None:
        """At most `percent` of one CPU for the whole machine; None takes the limit away."""
        if _unified():
            quota = f"{PERIOD * percent // 100} {PERIOD}" if percent else f"max {PERIOD}"
            (ROOT / self._top / machine / "cpu.max").write_text(quota)
            return
        quota = str(PERIOD * percent // 100) if percent else "-1"
        (ROOT / "cpu" / self._top / machine / "cpu.cfs_quota_us").write_text(quota)

    def processes(self, machine: str) -> list[int]:
        """Every process of the machine, its systemd-nspawn included."""
        found: list[int] = []
        # Both know that a group may go while it is looked at.
        for folder, _, _ in os.walk(_hierarchies()[0] / self._top / machine):
            with contextlib.suppress(OSError):
                found += map(int, Path(folder, "cgroup.procs").read_text().split())
        return found

    def cpu_seconds(self, machine: str) -> float:
        """CPU time that the machine has used since its groups were made."""
        if _unified():
            stat = (ROOT / self._top / machine / "cpu.stat").read_text()
            return int(stat.split()[1]) / 1e6
        return int((ROOT / "cpuacct" / self._top / machine / "cpuacct.usage").read_text()) / 1e9

    def remove(self) -> None:
        """Takes away all groups of this lab that hold no process any more, or end within a moment."""
        tops = [hierarchy / self._top for hierarchy in _hierarchies()]
        end = time.monotonic() + GOING_SECONDS
        while True:
            for top in tops:
                _remove(top)
            if not any(top.exists() for top in tops) or time.monotonic() > end:
                break
            time.sleep(0.1)
        (LOCKS / self._top).unlink(missing_ok=True)
        self._lock.close()


def remove_leftovers() -> None:
    """Takes away groups of labs that were killed: the one thing that the kernel does not clean up."""
    for hierarchy in _hierarchies():
        for top in hierarchy.glob(f"{PREFIX}-*"):
            lock = LOCKS / top.name
            with lock.open("a") as file, contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(top)
                lock.unlink(missing_ok=True)


def _unified() -> bool:
    return (ROOT / "cgroup.controllers").exists()


def _hierarchies() -> list[Path]:
    return [ROOT] if _unified() else [ROOT / name for name in V1 if (ROOT / name / "cgroup.procs").exists()]


def _inherit_cpuset(group: Path) -> None:
    """A v1 cpuset without CPUs and memory takes no process."""
    for key in ("cpuset.cpus", "cpuset.mems"):
        if group.parent.joinpath(key).exists() and not _unified():
            group.joinpath(key).write_text(group.parent.joinpath(key).read_text())


def _remove(top: Path) -> None:
    for folder, _, _ in os.walk(top, topdown=False):
        # Busy: another lab runs in it.
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
