"""Programs of this computer in one of the lab's network namespaces."""

from __future__ import annotations

import subprocess

from constructs_lib.errors import LabError
from constructs_lib.lab.commands import bounded
from constructs_lib.lab.machine import Done


def within(space: str, *command: str, timeout: float) -> Done:
    """What the command says there; LabError when it takes longer than `timeout`."""
    try:
        done = bounded(["nsenter", f"--net=/run/netns/{space}", *command], timeout=timeout)
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(command)} in {space}: has not ended after {timeout:g} s") from None
    return Done(code=done.returncode, out=done.stdout, err=done.stderr)
