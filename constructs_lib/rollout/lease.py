"""The lock of a site: two operators at once would each count on the nodes that the other takes away."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
from dataclasses import dataclass, field
from threading import Event, Thread
from types import TracebackType
from typing import IO, cast

from constructs_lib.access.ssh import Answer, end
from constructs_lib.errors import RollError
from constructs_lib.rollout.remote import ASK_SECONDS, LEASE_SCRIPT, NodeShell, asking

ALIVE_SECONDS = 15.0
"""Between signs of life; the gateway lets go after six that did not come."""


@dataclass
class Lease:
    """Held at the gateway by an SSH session of its own, and gone with that session however it ends."""

    gateway: NodeShell
    who: str
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _ended: Event = field(default_factory=Event, init=False)

    def __enter__(self) -> Lease:
        """Take it; RollError with who has it."""
        words, stdin = asking("hold", {"root": self.gateway.root, "who": self.who}, LEASE_SCRIPT)
        self._process = self.gateway.ssh.start(self.gateway.login, words)
        try:
            self._pipe.write(stdin)
            self._pipe.flush()
            self._first_answer()
        except BaseException:
            self._let_go()
            raise
        Thread(target=self._live, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()

    def check(self) -> None:
        """RollError where it was lost: somebody else may hold it by now."""
        if self._process is None or self._process.poll() is not None:
            raise RollError(
                "the lock at the gateway was lost with its connection, and somebody else may have it; "
                "run it again"
            )

    @property
    def _pipe(self) -> IO[bytes]:
        return cast("IO[bytes]", cast("subprocess.Popen[bytes]", self._process).stdin)

    def _first_answer(self) -> None:
        process = cast("subprocess.Popen[bytes]", self._process)
        out = cast("IO[bytes]", process.stdout)
        line = out.readline() if select.select([out], [], [], ASK_SECONDS)[0] else b""
        try:
            answer = json.loads(line)
        except ValueError:
            answer = {}
        if "refused" in answer:
            raise RollError(f"{answer['refused']}; wait until that has ended")
        if "held" not in answer:
            end(process)
            said = cast("IO[bytes]", process.stderr).read().decode(errors="replace")
            trouble = Answer(code=process.returncode, out="", err=said).trouble
            raise RollError(f"{self.gateway.login}: no lock is to be had there: {trouble}")

    def _live(self) -> None:
        while not self._ended.wait(ALIVE_SECONDS):
            # A pipe that is broken is what `check` finds.
            with contextlib.suppress(OSError, ValueError):
                self._pipe.write(b".")
                self._pipe.flush()

    def _let_go(self) -> None:
        self._ended.set()
        process = self._process
        if process is None:
            return
        with contextlib.suppress(OSError):
            self._pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        end(process)
        for stream in (process.stdout, process.stderr):
            cast("IO[bytes]", stream).close()
