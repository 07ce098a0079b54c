"""Runs one command and measures the whole process tree: wall time, processor time, and peak memory."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.progress import StepError

SAMPLE_SECONDS = 0.01
"""Reading one tree takes about 0.1 ms, so that the reader takes 1 % of one core from what it measures."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run.

    Attributes:
        seconds: wall time from the start of the process to its end.
        cpu_seconds: user and system time of the process and of every child that it waited for (jsii waits for
            its Node).
        peak_bytes: the largest sum of resident memory over the process and all of its descendants, sampled
            every SAMPLE_SECONDS. Pages that two processes share count twice; a peak between two samples is
            missed.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def measure(
    command: Sequence[str | Path], *, log: Path, env: Mapping[str, str], cwd: Path | None = None
) -> Measured:
    """Run `command` to its end with its output in `log`.

    Raises:
        StepError: it did not exit with 0; says the last line that it printed and where the rest is.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
        )
        watch = _Watch(process.pid)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    # Popen must not wait for a process that is gone: its number may be another's by now.
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = watch.stop()
    if process.returncode != 0:
        raise StepError(_failure(command, process.returncode, log))
    return Measured(seconds=seconds, cpu_seconds=usage.ru_utime + usage.ru_stime, peak_bytes=peak)


def _failure(command: Sequence[str | Path], code: int, log: Path) -> str:
    said = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    last = said[-1][:200] if said else "nothing printed"
    return f"{Path(str(command[0])).name} ended with {code}: {last} (whole output: {log})"


class _Watch(threading.Thread):
    """Keeps the largest resident size of a process tree that it has seen."""

    def __init__(self, pid: int) -> None:
        super().__init__(name=f"watch-{pid}", daemon=True)
        self._pid = pid
        self._done = threading.Event()
        self._peak = 0

    def run(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self._peak = max(self._peak, resident_bytes(self._pid))

    def stop(self) -> int:
        """End the thread and return the peak in bytes."""
        self._done.set()
        self.join()
        return self._peak


def resident_bytes(pid: int) -> int:
    """The resident memory of a process and its descendants now; what has just ended counts 0."""
    return sum(_resident(each) for each in tree(pid))


def tree(pid: int) -> Iterator[int]:
    """The process and all of its descendants; Linux lists children by the thread that made them."""
    yield pid
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 (a Path per entry would be half of the cost)
    except OSError:
        return
    for thread in threads:
        try:
            children = Path(f"/proc/{pid}/task/{thread}/children").read_bytes()
        except OSError:
            continue
        for child in children.split():
            yield from tree(int(child))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
