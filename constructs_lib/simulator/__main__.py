"""`python -m constructs_lib.simulator PROGRAM ARGUMENT…` runs one double without building it."""

from __future__ import annotations

import importlib
import sys

from constructs_lib.simulator.double import PROGRAMS


def run_double(program: str) -> int:
    """Run the double of `program` with the arguments in `sys.argv`; gives its exit code."""
    module = importlib.import_module(f"constructs_lib.simulator.{program.replace('-', '_')}")
    return int(module.main())


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in PROGRAMS:
        sys.exit(f"usage: python -m constructs_lib.simulator {{{','.join(PROGRAMS)}}} ARGUMENT…")
    sys.exit(run_double(sys.argv.pop(1)))
