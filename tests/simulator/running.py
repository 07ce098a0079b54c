"""Runs doubles as processes of their own, and waits for what they answer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from constructs_lib.simulator.web import ask

ROOT = Path(__file__).parents[2]
LONGEST_WAIT = 180.0


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of the caller's MESOS_* and MARATHON_* variables."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **(extra or {})}


def command(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "constructs_lib.simulator", program, *arguments]


def ended(
    program: str, *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What became of a double that is expected to end by itself."""
    return subprocess.run(
        command(program, *arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_WAIT,
        env=environment(environ),
    )


class Double:
    """A double in a process of its own; `port` is where it answers."""

    def __init__(
        self, program: str, *arguments: str, port: int, log: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self.port = port
        self.log_file = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command(program, *arguments), stdout=output, stderr=output, env=environment(environ)
            )

    def ask(self, path: str, method: str = "GET", body: object = None, **options: Any) -> tuple[int, Any]:
        return ask(f"http://127.0.0.1:{self.port}{path}", method, body, **options)

    def get(self, path: str) -> Any:
        """The body of a 200, or None."""
        try:
            status, body = self.ask(path)
        except OSError:
            return None
        return body if status == 200 else None

    def log(self) -> str:
        return self.log_file.read_text()

    def ends(self) -> int:
        """The exit code of a double that is expected to end by itself."""
        return self.process.wait(timeout=LONGEST_WAIT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=LONGEST_WAIT)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout=LONGEST_WAIT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def wait_for(what: str, happened: Callable[[], Any], *doubles: Double) -> Any:
    """The first true answer; fails after some minutes with what was seen last and what the doubles logged.

    No answer, or one in which something is not there yet, is none.
    """
    end = time.monotonic() + LONGEST_WAIT
    while True:
        try:
            if answer := happened():
                return answer
            last = repr(answer)
        except (OSError, LookupError, TypeError, ValueError) as error:
            last = f"{type(error).__name__}: {error}"
        logs = "\n".join(double.log()[-1500:] for double in doubles)
        assert time.monotonic() < end, f"waited {LONGEST_WAIT:g} s for {what}; seen last: {last}\n{logs}"
        time.sleep(0.03)
