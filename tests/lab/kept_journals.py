"""What a lab's machines wrote, kept where a drill fails: their own folder goes with the lab."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

UNSAFE = re.compile(r"[^\w.-]+")
MOST = 10
"""Failures of one run whose journals are kept: after so many, the first ones tell why."""


class WithJournals(Protocol):
    """What of a lab is needed here."""

    def journals(self, folder: str | None = None) -> str: ...


@dataclass
class KeptJournals:
    """Keeps them in a folder of their own for each test, below what `record` names."""

    record: Callable[[], Path]
    kept: int = 0

    def of_report(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Collect from each lab that the failed test had, before it is taken down, and say where.

        Only what has failed before its teardown: the cluster is still as the drill left it then.
        """
        if report.failed and report.when in ("setup", "call"):
            for lab in labs_of(item):
                report.sections.append(("the machines' journals", self.of_lab(lab, item.name)))

    @contextmanager
    def while_booting(self, lab: WithJournals, name: str) -> Iterator[None]:
        """A fixture that fails in here takes its lab down before any report is made."""
        try:
            yield
        except Exception as error:
            error.add_note(f"the machines' journals: {self.of_lab(lab, name)}")
            raise

    def of_lab(self, lab: WithJournals, name: str) -> str:
        """Where they are, or why they are not: what a test has failed with is never hidden by this."""
        if self.kept >= MOST:
            return f"not kept, since those of {MOST} failures of this run are"
        self.kept += 1
        try:
            folder = self.record() / "journals" / f"{self.kept:02}-{UNSAFE.sub('-', name)}"
            return lab.journals(str(folder))
        except Exception as error:  # whatever it is: the test's own failure is to be seen
            return f"could not be collected: {type(error).__name__}: {error}"


def labs_of(item: pytest.Item) -> list[WithJournals]:
    """The labs among the test's fixtures, each once."""
    values: dict[str, Any] = getattr(item, "funcargs", {})
    found = {id(value): value for value in values.values() if callable(getattr(value, "journals", None))}
    return list(found.values())
