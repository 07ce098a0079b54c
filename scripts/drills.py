"""Writes docs/drills.md from the records of one run: ``python -m scripts.drills [RUN]``.

A run of tests/lab keeps its records in a folder of its own, ``.clustermesos/drills/RUN``: a JSON file for
each drill, and ``run.json`` for the run once it has ended. Without RUN the page is of the newest whole run.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from constructs_lib.lab.overrides import read_overrides
from constructs_lib.simulator.programs import programs
from scripts.progress import ROOT, StepError, one_line_errors, state_folder

REPORT = ROOT / "docs" / "drills.md"
RUN_FILE = "run.json"
AGAIN = "run all of them: make drills"
BOUND_MINUTES = 20.0
"""How long the lab part may take on 2 cores that do nothing else."""


@dataclass(kw_only=True)
class Run:
    """One run of tests/lab.

    Attributes:
        commit: what was checked out, ``+`` at its end where files were changed; ``unknown`` without git.
        started: in UTC, as ``2026-11-26T15:16:40Z``.
        seconds: how long tests/lab took, its own fixtures included.
        bound: the seconds that it may take.
        load: the machine's load average at the end, over 15 minutes.
        whole: whether every test of tests/lab was run.
    """

    commit: str
    started: str
    seconds: float = 0
    bound: float = 0
    load: float = 0
    whole: bool = False

    @property
    def id(self) -> str:
        """Sorts by time."""
        return f"{self.started.replace(':', '')}-{self.commit}"

    @property
    def folder(self) -> Path:
        """Where its records lie."""
        folder = runs() / self.id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def save(self) -> None:
        """Say that it has ended; without this it is on no page."""
        (self.folder / RUN_FILE).write_text(json.dumps(asdict(self), indent=2))


def begun() -> Run:
    """A run that begins now."""
    started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Run(commit=_commit(), started=started)


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    head = _asked(git, "rev-parse", "--short=12", "HEAD")
    changed = "+" if _asked(git, "diff", "--quiet", "HEAD").returncode else ""
    return head.stdout.strip() + changed if head.returncode == 0 else "unknown"


def _asked(git: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([git, *words], cwd=ROOT, capture_output=True, text=True, check=False)


def runs() -> Path:
    """Where a folder lies for each run."""
    return state_folder() / "drills"


def chosen(wanted: str | None) -> tuple[Run, list[dict[str, Any]]]:
    """The run of this id, else the newest whole one, and its drills' records by name.

    Raises:
        StepError: there is none, it has not ended, or a record in its folder is of another run.
    """
    known = {path.parent.name: _read(path) for path in sorted(runs().glob(f"*/{RUN_FILE}"))}
    if wanted is not None and wanted not in known:
        raise StepError(f"run: got {wanted!r}, expected one that has ended: {', '.join(known) or 'none has'}")
    whole = [id for id, run in known.items() if run.whole]
    if wanted is None and not whole:
        partly = f"; of tests that were picked: {', '.join(known)}" if known else ""
        raise StepError(f"no run of all drills has ended here{partly}; {AGAIN}")
    run = known[wanted or whole[-1]]
    drills = [
        json.loads(path.read_text()) for path in sorted(run.folder.glob("*.json")) if path.name != RUN_FILE
    ]
    strange = [drill["name"] for drill in drills if drill["run"] != run.id]
    if strange or not drills:
        raise StepError(f"{run.folder}: {', '.join(strange) or 'no drill'} is not of this run; {AGAIN}")
    return run, drills


def _read(path: Path) -> Run:
    return Run(**json.loads(path.read_text()))


def main(arguments: list[str]) -> None:
    """Write the page.

    Raises:
        StepError: there is nothing to write it from.
    """
    run, drills = chosen(arguments[0] if arguments else None)
    REPORT.write_text("\n".join(lines(run, drills)) + "\n", encoding="utf-8")
    print(f"==> {REPORT}: {len(drills)} drills of {run.id}")


def lines(run: Run, drills: list[dict[str, Any]]) -> Iterator[str]:
    """The page: which run, what was not as on a cloud, then every drill."""
    yield "# Drills"
    yield ""
    which = "of all drills" if run.whole else "of **some** drills"
    yield f"Written from one run of `tests/lab`, {which}: begun {run.started}, commit `{run.commit}`."
    yield f"{_took(run)} {_where()}"
    yield "Seconds below count from what was broken on. The machines: [lab.md](lab.md)."
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


def _took(run: Run) -> str:
    over = "" if run.seconds <= run.bound else ", which is **too long**"
    usual = BOUND_MINUTES * 60
    other = "" if run.bound == usual else f", {usual:.0f} on a machine that does nothing else"
    of = f"{run.seconds:.0f} s of at most {run.bound:.0f}{over}{other}"
    return f"The lab part took {of} (load average {run.load:.1f})."


def _where() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} processors, {memory:.0f} GiB, {platform.system()}."


if __name__ == "__main__":
    with one_line_errors():
        main(sys.argv[1:])
