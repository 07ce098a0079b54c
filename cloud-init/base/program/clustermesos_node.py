"""What the parts of the program share: one-line errors, commands, and waits that end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WRONG, UNHEALTHY = 2, 3
"""Exit codes besides 1, a step that failed: the call or generation is wrong, a component is unhealthy."""

LONGEST = 1800
"""Seconds that any one command may take, an installation of packages included."""


class Failure(Exception):
    """An error whose text is for the operator, and the exit code that it ends in."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def told(text: str) -> str:
    return f"{Path(sys.argv[0]).name}: {text}"


def say(text: str) -> None:
    """One line of progress; the first boot's go to /var/log/cloud-init-output.log."""
    print(told(text), flush=True)


def ask(*command: str, seconds: float = LONGEST, text: bool = True, stdin: bytes | None = None) -> Any:
    """The ended command: returncode, stdout and stderr."""
    try:
        return subprocess.run(
            command, capture_output=True, text=text, timeout=seconds, input=stdin, check=False
        )
    except OSError as error:
        raise Failure(f"{command[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"{' '.join(command)}: has not ended after {seconds:g} s") from None


def run(*command: str) -> str:
    """What a command prints; Failure with its last words when it fails."""
    done = ask(*command)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise Failure(f"{' '.join(command)}: exit code {done.returncode}: {words}")
    output: str = done.stdout
    return output


def until(seconds: float, pause: float, attempt: Callable[..., Any], *arguments: Any) -> Any:
    """What `attempt` returns, tried again while it fails; its last Failure once `seconds` are over."""
    end, said = time.monotonic() + seconds, ""
    while True:
        try:
            return attempt(*arguments)
        except Failure as failure:
            if failure.code == WRONG:
                raise
            words = str(failure)
            if time.monotonic() + pause > end:
                raise Failure(f"{words}; gave up after {seconds:g} s", failure.code) from None
            if words != said:
                said = words
                say(f"waiting at most {seconds:g} s: {said}")
            time.sleep(pause)
