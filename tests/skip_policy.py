"""In CI nothing is skipped silently: a skipped test that the list does not allow fails the run, by name."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest


def allowed_skips(text: str) -> dict[str, str]:
    """Pattern of a test's name → why it may be skipped, from lines ``PATTERN  # reason``.

    Raises:
        ValueError: a line without a reason.
    """
    allowed = {}
    for line in text.splitlines():
        pattern, _, reason = (part.strip() for part in line.partition("#"))
        if not pattern:
            continue
        if not reason:
            raise ValueError(f"allowed skip {pattern!r}: got no reason, expected one after a #")
        allowed[pattern] = reason
    return allowed


def silent_skips(skipped: Mapping[str, str], allowed: Mapping[str, str]) -> dict[str, str]:
    """Those of ``skipped`` (name → reason) that no pattern allows."""
    return {
        name: reason
        for name, reason in skipped.items()
        if not any(fnmatchcase(name, pattern) for pattern in allowed)
    }


class SkipPolicy:
    """Collects skipped tests and fails the run for those that are not allowed."""

    def __init__(self, allowed: Path) -> None:
        self.allowed = allowed
        self.skipped: dict[str, str] = {}
        self.silent: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember a skipped test; an expected failure is not one."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped[report.nodeid] = _reason(report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember a module that was skipped as a whole."""
        if report.skipped:
            self.skipped[report.nodeid] = _reason(report.longrepr)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Turn a green run red if something was skipped that may not be."""
        self.silent = silent_skips(self.skipped, allowed_skips(self.allowed.read_text()))
        if self.silent and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Name them."""
        if self.silent:
            terminalreporter.section("skipped, which CI forbids (tests/allowed_skips.txt)", red=True)
            for name, reason in self.silent.items():
                terminalreporter.line(f"{name}: {reason}")


def _reason(longrepr: object) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
