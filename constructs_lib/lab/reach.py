"""Programs of this computer in one of the lab's network namespaces."""

from __future__ import annotations

import subprocess

from constructs_lib.errors import LabError
from constructs_lib.lab.machine import Done


def within(space: str, *command: str, timeout: float) -> Done:
    """What the command says there; LabError when it takes longer than `timeout`."""
    try:
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/{space}", *command],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(command)} in {space}: has not ended after {timeout:g} s") from None
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)
