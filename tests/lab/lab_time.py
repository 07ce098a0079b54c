"""How long tests/lab takes altogether, and the bound on it: the whole lab part in 20 minutes on 2 cores."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.drills import BOUND_MINUTES, Run, begun

VARIABLE = "CLUSTERMESOS_LAB_MINUTES"
"""Another bound, for a machine that others work on too; docs/drills.md says which one a run had."""


def bound_seconds(environ: Mapping[str, str]) -> float:
    """The bound of this run.

    Raises:
        pytest.UsageError: the variable is no time.
    """
    text = environ.get(VARIABLE, "")
    try:
        minutes = float(text or BOUND_MINUTES)
    except ValueError:
        minutes = -1
    if not 0 < minutes <= 24 * 60:
        raise pytest.UsageError(f"{VARIABLE}: got {text!r}, expected minutes, such as 40")
    return minutes * 60


@dataclass
class LabTime:
    """Adds up what the tests below `folder` take, and keeps the record of their run."""

    folder: Path
    bound: float
    run: Run = field(default_factory=begun)
    failed: bool = False
    """Whether a test has failed so far."""
    _ran: set[str] = field(default_factory=set)
    _deselected: bool = False

    def took(self, report: pytest.TestReport) -> None:
        """One phase of a test: its fixtures count as well as itself."""
        self.run.seconds += report.duration
        self.failed = self.failed or report.failed
        self._ran.add(report.nodeid)

    def deselected(self, items: Iterable[pytest.Item]) -> None:
        """What `-k` and `-m` leave out."""
        self._deselected = self._deselected or any(self._ours(item) for item in items)

    def ended(self, session: pytest.Session) -> None:
        """Keep the run's record; a run that was too long fails."""
        if not self._ran:
            return
        ours = [item for item in session.items if self._ours(item)]
        files = {item.path for item in ours}
        every = files == set(self.folder.glob("test_*.py")) and not self._deselected
        self.run.whole = every and {item.nodeid for item in ours} == self._ran
        self.run.bound, self.run.load = self.bound, os.getloadavg()[2]
        self.run.save()
        if self.trouble and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _ours(self, item: pytest.Item) -> bool:
        return item.path.is_relative_to(self.folder)

    @property
    def trouble(self) -> str:
        """What there is to say of a run that took too long; empty for others."""
        if self.run.seconds <= self.bound:
            return ""
        return (
            f"tests/lab took {self.run.seconds:.0f} s, at most {self.bound:.0f} are allowed: make what is "
            f"slow quicker (--durations=30), or on a machine that others work on too set {VARIABLE}"
        )
