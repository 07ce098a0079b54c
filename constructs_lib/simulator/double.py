"""What all doubles share: the name they go by, log lines, and the end when the real program would refuse.

Nothing here or in the other modules of this package needs more than the standard library and kazoo: on a node
they run from one zipapp (:mod:`constructs_lib.simulator.build`).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

MESOS_VERSION = "1.11.0"
MARATHON_VERSION = "1.11.24"
CHRONOS_VERSION = "3.0.2"
REGISTRATOR_VERSION = "v9.2.0"

PROGRAMS = ("mesos-master", "mesos-agent", "marathon", "chronos", "registrator")
"""The programs that have a double."""


class RefusedError(Exception):
    """What the real program would refuse; `code` is its exit code, the text its words."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def notice(program: str) -> str:
    """The sentence that names a double, in its first log line and in its answers."""
    return f"clustermesos double of {program}: it is not {program} and runs no task"


def server_header(program: str) -> str:
    """The value of the HTTP header `Server` in everything that a double answers."""
    return f"clustermesos-double-of-{program}"


@dataclass
class Log:
    """Log lines on standard error, and in `file` too once it is set (`--log_dir`)."""

    program: str
    file: Path | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, text: str, level: str = "I") -> None:
        """Write one line; `level` is I, W or E, as in Mesos' logs."""
        line = f"{level}{datetime.now(UTC):%m%d %H:%M:%S.%f} {os.getpid()} {text}\n"
        with self.lock:
            sys.stderr.write(line)
            sys.stderr.flush()
            if self.file is not None:
                with self.file.open("a", encoding="utf-8") as file:
                    file.write(line)

    def into(self, folder: Path) -> None:
        """Log into `folder` too, by the names that glog gives its files.

        Raises:
            RefusedError: the folder can't be made or written, at which Mesos ends as well.
        """
        started = f"{datetime.now(UTC):%Y%m%d-%H%M%S}.{os.getpid()}"
        real = f"{self.program}.{socket.gethostname()}.root.log.INFO.{started}"
        link = folder / f"{self.program}.INFO"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / real).touch()
            link.unlink(missing_ok=True)
            link.symlink_to(real)
        except OSError as error:
            raise RefusedError(f"Could not create logging directory '{folder}': {error.strerror}") from None
        self.file = folder / real


class Stop:
    """Ends the program: on SIGTERM with code 0, or by :meth:`now` from any of its threads."""

    def __init__(self) -> None:
        self.code = 0
        self._asked = threading.Event()

    def on_signals(self) -> None:
        """Let SIGTERM and SIGINT stop the program in order, so that its session in ZooKeeper ends at once."""

        def asked(_number: int, _frame: FrameType | None) -> None:
            self._asked.set()

        signal.signal(signal.SIGTERM, asked)
        signal.signal(signal.SIGINT, asked)

    def now(self, code: int) -> None:
        """Stop with this exit code."""
        self.code = code
        self._asked.set()

    def is_set(self) -> bool:
        """Whether the program is to end."""
        return self._asked.is_set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the program is to end, at most `seconds`."""
        return self._asked.wait(seconds)


Run = Callable[[Sequence[str], Mapping[str, str], Log, Stop], None]


def run_program(program: str, run: Run) -> int:
    """Be `program`: name the double, run it, and end with the real one's exit code and words."""
    log, stop = Log(program), Stop()
    arguments = sys.argv[1:]
    if "--version" not in arguments and "-version" not in arguments:
        log(notice(program))
    stop.on_signals()
    try:
        run(arguments, os.environ, log, stop)
    except RefusedError as refusal:
        log(str(refusal), "E")
        return refusal.code
    return stop.code
