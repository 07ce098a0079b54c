"""``make test``: the whole test run, in two parts at the same time where there is more than one processor.

    python -m scripts.whole_test

Machines that boot and links between networks wait most of their time; everything else computes. The first
part's output follows the second's, so that neither is torn apart: it is kept in .clustermesos/logs as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.progress import STATE

MACHINES = ("tests/lab", "tests/machines", "tests/sites")
"""What boots machines or joins networks."""
LOG = STATE / "logs" / "test-machines.log"


def parts() -> tuple[list[str], list[str]]:
    """pytest's arguments for the machines, and for everything else."""
    # Only one of them may keep the names of what failed last.
    machines = [*MACHINES, "-p", "no:cacheprovider"]
    return machines, [f"--ignore={folder}" for folder in MACHINES]


def main() -> int:
    """Run both; the worst exit code of the two."""
    machines, others = parts()
    if (os.cpu_count() or 1) < 2:
        return max(_run(machines), _run(others))
    LOG.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with LOG.open("wb") as log:
        beside = subprocess.Popen(_pytest(machines), stdout=log, stderr=subprocess.STDOUT)
    try:
        codes = [_run(others)]
        print(f"==> machines and links, which ran beside it ({_shown(LOG)})", flush=True)
        codes.append(_exit_code(beside.wait()))
    except KeyboardInterrupt:
        # The terminal has told both, and each cleans up after itself.
        beside.wait()
        raise
    sys.stdout.write(LOG.read_text(encoding="utf-8", errors="replace"))
    return max(codes)


def _pytest(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


def _run(arguments: Sequence[str]) -> int:
    return _exit_code(subprocess.run(_pytest(arguments), check=False).returncode)


def _exit_code(returned: int) -> int:
    """As a shell has it: 128 and the signal's number where one ended the process."""
    return returned if returned >= 0 else 128 - returned


def _shown(path: Path) -> str:
    return os.path.relpath(path)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
