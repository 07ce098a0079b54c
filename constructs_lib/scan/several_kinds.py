"""Makes several_kinds.json from checkov's own list of checks.

    checkov --list --framework terraform --skip-download | python -m constructs_lib.scan.several_kinds

A check that looks at one resource at a time names all types it looks at, and that is what the list shows. A
check of the graph lists the types of everything that it follows, whether it judges them or not, so those are
left out.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

FILE = Path(__file__).with_name("several_kinds.json")
SOURCE = "checkov 3.3.30 --list --framework terraform"

_ROW = re.compile(
    r"\|\s*\d+\s*\|\s*(CKV_(?:AWS|OPENSTACK)_\d+)\s*\|\s*(\w+)\s*\|\s*(\w+)\s*\|.*\|\s*(\S*)\s*\|$"
)


def several_kinds(listing: Iterable[str]) -> dict[str, list[str]]:
    """Check id → sorted types (`data.` before a data source's) from the lines of `checkov --list`."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for line in listing:
        match = _ROW.match(line.strip())
        if match and "/graph_checks/" not in match[4]:
            kinds[match[1]].add(f"data.{match[3]}" if match[2] == "data" else match[3])
    return {check: sorted(types) for check, types in sorted(kinds.items()) if len(types) > 1}


def render(listing: Iterable[str]) -> str:
    """The file's text."""
    checks = several_kinds(listing)
    rows = ",\n".join(f"    {json.dumps(check)}: {json.dumps(types)}" for check, types in checks.items())
    return f'{{\n  "source": {json.dumps(SOURCE)},\n  "checks": {{\n{rows}\n  }}\n}}\n'


if __name__ == "__main__":
    FILE.write_text(render(sys.stdin), encoding="utf-8")
