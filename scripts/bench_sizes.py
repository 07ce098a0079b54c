"""What ``make bench`` calls for sizes: each role's user data on every platform, in docs/user-data.md.

    python -m scripts.bench_sizes [--report FILE]

Exit codes: 0 every text is within the bound, 1 one is not, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import sizes
from scripts.progress import ROOT, one_line_errors


def main(arguments: list[str]) -> int:
    """Count and write; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="bench_sizes", description="Measure user data; write docs/user-data.md."
    )
    parser.add_argument("--report", type=Path, default=ROOT / "docs" / "user-data.md", metavar="FILE")
    asked = parser.parse_args(arguments)
    found = list(sizes.measured())
    asked.report.write_text("\n".join(sizes.lines(found)) + "\n", encoding="utf-8")
    over = [size for size in found if not size.met]
    for size in over:
        print(f"    MISSED {size.cluster}/{size.site} {size.role}, {size.kind}: {size.bytes:,} bytes")
    print(f"    {'MISSED' if over else 'ok    '} user data of every role: at most {sizes.BOUND:,} bytes")
    print(f"==> {asked.report}")
    return 1 if over else 0


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main(sys.argv[1:]))
