"""Steps that a person can follow: one line each, with the seconds it took, and one line when it fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The root of the clone."""

STATE = ROOT / ".clustermesos"
"""State and logs of this clone; ignored by git, mode 0700 since Terraform writes world-readable state."""

_SAY_EVERY = 15.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

_NETWORK_SIGNS = (
    "temporary failure in name resolution",
    "name or service not known",
    "failed to establish a new connection",
    "connection refused",
    "network is unreachable",
    "code eai_again",
    "code enotfound",
    "code econnrefused",
    "code etimedout",
    "newconnectionerror",
    "read timed out",
    "no plugin found for prefix",  # Maven, whose plugins come from the same place as the rest
)


class StepError(Exception):
    """A step failed; the message is the one line that the user reads."""


def state_folder() -> Path:
    """Make :data:`STATE` with mode 0700 and return it."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    STATE.chmod(0o700)
    return STATE


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print ``==> WHAT`` now, and how many seconds it took when it is done."""
    started = time.monotonic()
    print(f"==> {what}", flush=True)
    yield
    print(f"    done in {time.monotonic() - started:.1f} s", flush=True)


def already(what: str, how: str = "up to date") -> None:
    """Print a step that had nothing to do."""
    print(f"==> {what}: {how}", flush=True)


def run_logged(command: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> None:
    """Run a command with its output in ``log``; what went wrong becomes one line.

    Raises:
        StepError: the command is missing or failed. Says whether disk or network was the cause, the last line
            that the command printed, and where all of its output is.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(os.environ if env is None else env),
            )
        except FileNotFoundError as error:
            raise StepError(f"{command[0]}: no such command; install it and try again") from error
        code = _wait_visibly(child)
    if code != 0:
        raise StepError(explain(command, code, log.read_text(errors="replace"), log))


def _wait_visibly(child: subprocess.Popen[bytes]) -> int:
    """The child's exit code; while it takes long, say now and then that it still runs."""
    started = time.monotonic()
    try:
        while True:
            try:
                return child.wait(timeout=_SAY_EVERY)
            except subprocess.TimeoutExpired:
                print(f"    … {time.monotonic() - started:.0f} s", flush=True)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise


def explain(command: Sequence[str | Path], code: int, output: str, log: Path) -> str:
    """One line that says why a command failed: network, disk, or its own last words."""
    name = Path(str(command[0])).name
    output = _COLOUR.sub("", output)
    lowered = output.lower()
    if "no space left on device" in lowered or "enospc" in lowered:
        return f"no space left on the disk ({name}; whole output: {log})"
    if any(sign in lowered for sign in _NETWORK_SIGNS):
        return f"the package registry could not be reached; is there a network? ({name}; whole output: {log})"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "npm error", "[error]", "e: "))]
    said = errors[0] if errors else (lines or ["nothing printed"])[-1]
    return f"{name} ended with {code}: {said[:200]} (whole output: {log})"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what a user can mend into one line on stderr and exit code 1, and Ctrl-C into 130."""
    try:
        yield
    except StepError as error:
        print(f"!!! {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        print(f"!!! {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("!!! interrupted", file=sys.stderr)
        raise SystemExit(130) from None
