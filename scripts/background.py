"""Processes that outlive the command that started them, and how they are found again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process that can't be confused with a later one of the same id.

    Attributes:
        pid: its process id.
        started: when it started, in clock ticks since boot (field 22 of /proc/PID/stat).
        port: where it listens.
    """

    pid: int
    started: int
    port: int

    def alive(self) -> bool:
        """Whether this very process runs."""
        return start_time(self.pid) == self.started


def start_time(pid: int) -> int | None:
    """When it started, in clock ticks since boot; None where it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name, in parentheses, may hold spaces; what follows it does not. A zombie is not running.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def gone(process: Process, within: float) -> bool:
    """Whether it ended within so many seconds."""
    give_up = time.monotonic() + within
    while time.monotonic() < give_up:
        if not process.alive():
            return True
        time.sleep(0.05)
    return False
