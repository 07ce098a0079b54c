"""What ``make bench`` calls for runs over many contracts: docs/reconcile.md.

    python -m scripts.bench_reconcile [--contracts N] [--changed N,N] [--report FILE]

Exit codes: 0 every bound is kept, 1 one is not, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import reconcile
from scripts.progress import ROOT, one_line_errors


def main(arguments: list[str]) -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="bench_reconcile", description="Measure runs over many contracts; write docs/reconcile.md."
    )
    parser.add_argument("--contracts", type=int, default=1000, help="how many (default %(default)s)")
    parser.add_argument("--changed", default="100,1000", help="how many of them change (default %(default)s)")
    parser.add_argument("--report", type=Path, default=ROOT / "docs" / "reconcile.md", metavar="FILE")
    asked = parser.parse_args(arguments)
    found = reconcile.play(asked.contracts, [int(word) for word in asked.changed.split(",")])
    asked.report.write_text("\n".join(reconcile.lines(found)) + "\n", encoding="utf-8")
    kept = reconcile.met(found)
    print(f"    {'ok    ' if kept else 'MISSED'} {asked.contracts:,} contracts")
    print(f"==> {asked.report}")
    return 0 if kept else 1


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main(sys.argv[1:]))
