"""Writes docs/drills.md from the records of the last run: ``python -m scripts.drills``."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from constructs_lib.lab.overrides import read_overrides
from constructs_lib.simulator.programs import programs
from scripts.progress import ROOT, state_folder

REPORT = ROOT / "docs" / "drills.md"


def records() -> Path:
    """Where the last run's records lie, a JSON file for each drill."""
    folder = state_folder() / "drills"
    folder.mkdir(exist_ok=True)
    return folder


def main() -> int:
    """Write it; 1 where nothing was run."""
    found = [json.loads(path.read_text()) for path in sorted(records().glob("*.json"))]
    if not found:
        print("no drill was run: python -m pytest tests/lab", file=sys.stderr)
        return 1
    REPORT.write_text("\n".join(lines(found)) + "\n", encoding="utf-8")
    print(f"==> {REPORT}: {len(found)} drills")
    return 0


def lines(drills: list[dict[str, Any]]) -> Iterator[str]:
    """The page: what was not as on a cloud, then every drill."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield "# Drills"
    yield ""
    where = f"{os.cpu_count()} processors and {memory:.0f} GiB, {platform.system()}"
    yield f"Written on {date.today().isoformat()} from the last run of each drill in `tests/lab`: {where},"
    yield "shared with other work. Seconds count from what was broken on. The machines: [lab.md](lab.md)."
    yield ""
    yield "Not as on a cloud, on every machine:"
    yield ""
    yield from (f"* {line}" for line in [*read_overrides().lines(), *(each.line for each in programs())])
    for drill in drills:
        title = drill["name"].replace("_", " ").capitalize()
        yield ""
        yield f"## {title}{'' if drill['passed'] else ': **not kept**'}"
        yield ""
        yield f"* Broken: {drill['broken']}."
        yield f"* Promised: {drill['promised']}."
        yield from (f"* Seen: {seen}." for seen in drill["seen"])


if __name__ == "__main__":
    sys.exit(main())
