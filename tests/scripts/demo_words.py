"""What the demo has to show of its applications, in the text that it prints."""

from __future__ import annotations

import re

from constructs_lib.hooks.report import SIMULATOR_NOTE

_SHOWN = (
    r"ok +marathon +\S+ leads, its framework is active",
    r"ok +app orders +version [0-9a-f]{8}, 1 of 1 instances serve",
    r"ok +app shop +version [0-9a-f]{8}, 3 of 3 instances serve",
    # Nobody has restored it yet.
    r"\? +job orders\.backup +daily at \d\d:\d\d UTC; .*",
    r"ok +job orders\.restore-test +on [A-Z][a-z]+days at \d\d:\d\d UTC; .*",
)
"""Both example applications, and the jobs that save one of them, as they run."""
_ROW = re.compile(r"(ok|\?|NOT) {2,}\S")


def not_shown(text: str) -> list[str]:
    """Rows that are missing, and tables that do not say whose word they are; a deploy's are indented."""
    lines = [line.strip() for line in text.splitlines()]
    missing = [row for row in _SHOWN if not any(re.fullmatch(row, line) for line in lines)]
    for before, line in zip(["", *lines], lines, strict=False):
        if _ROW.match(line) and not _ROW.match(before) and before != SIMULATOR_NOTE:
            missing.append(f"SIMULATOR above {line!r}, got {before!r}")
    return missing
