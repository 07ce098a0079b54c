"""What ``make bench`` calls for boot times: the lab's cluster beside bare machines, in docs/boot-times.md.

    python -m scripts.bench_boots [--rounds N] [--report FILE]

Exit codes: 0 the cluster is complete within three bare boots, 1 it is not, or a boot failed, 2 wrong
arguments. Where no lab can run (no root, no systemd-nspawn) it says so and leaves the file alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import boots
from constructs_lib.errors import LabError
from constructs_lib.lab.commands import missing
from scripts.progress import ROOT, one_line_errors


def main(arguments: list[str]) -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="bench_boots", description="Measure boots; write docs/boot-times.md."
    )
    parser.add_argument("--rounds", type=int, default=3, help="boots of each kind (default %(default)s)")
    parser.add_argument("--report", type=Path, default=ROOT / "docs" / "boot-times.md", metavar="FILE")
    asked = parser.parse_args(arguments)
    reason = missing()
    if reason:
        print(f"==> boot times: left out: {reason}")
        return 0
    try:
        found = boots.play(asked.rounds)
    except LabError as error:
        print(f"!!! {error}", file=sys.stderr)
        return 1
    asked.report.write_text("\n".join(boots.lines(found)) + "\n", encoding="utf-8")
    print(f"    {'ok    ' if found.met else 'MISSED'} complete cluster / bare machines")
    print(f"==> {asked.report}")
    return 0 if found.met else 1


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main(sys.argv[1:]))
