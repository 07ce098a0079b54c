"""What the scripts of this node share: one-line errors, commands, and waits that end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

FAILED, WRONG, UNHEALTHY = 1, 2, 3
"""Exit codes: a step failed (run it again), the call or generation is wrong, a component is unhealthy."""

LONGEST = 1800
"""Seconds that any one command may take, an installation of packages included."""

T = TypeVar("T")


class Failure(Exception):
    """An error whose text is for the operator, and the exit code that it ends in."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


def say(text: str) -> None:
    """One line of progress; the first boot's go to /var/log/cloud-init-output.log."""
    print(f"{Path(sys.argv[0]).name}: {text}", flush=True)


def run(*command: str) -> str:
    """What a command prints; Failure with its last words when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST)
    except OSError as error:
        raise Failure(f"{command[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(command)}: has not ended after {LONGEST} s") from None
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise Failure(f"{' '.join(command)}: exit code {done.returncode}: {words}")
    return done.stdout


def until(seconds: float, pause: float, attempt: Callable[[], T]) -> T:
    """What `attempt` returns, tried again while it fails; its last Failure once `seconds` are over."""
    end, said = time.monotonic() + seconds, ""
    while True:
        try:
            return attempt()
        except Failure as failure:
            if failure.code == WRONG:
                raise
            if time.monotonic() + pause > end:
                raise Failure(f"{failure}; gave up after {seconds:g} s", failure.code) from None
            if str(failure) != said:
                said = str(failure)
                say(f"waiting at most {seconds:g} s: {said}")
            time.sleep(pause)


def ended(work: Callable[[], None]) -> int:
    """The exit code of `work`, whose errors are told in one line."""
    try:
        work()
    except Failure as failure:
        print(f"{Path(sys.argv[0]).name}: error: {failure}", file=sys.stderr)
        return failure.code
    except OSError as error:
        print(f"{Path(sys.argv[0]).name}: error: {error.filename}: {error.strerror}", file=sys.stderr)
        return FAILED
    return 0
