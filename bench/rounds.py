"""Runs the contenders in turn, A B C A B C, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.contenders import Contender
from bench.measure import Measured


@dataclass(frozen=True)
class Spread:
    """The median of some numbers, and the smallest and the largest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        """ValueError without a number."""
        return cls(median(numbers), min(numbers), max(numbers))


Value = Callable[[Measured], float]


def seconds(run: Measured) -> float:
    """Wall time of a run."""
    return run.seconds


def cpu_seconds(run: Measured) -> float:
    """Processor time of a run."""
    return run.cpu_seconds


def mebibytes(run: Measured) -> float:
    """Peak memory of a run in MiB."""
    return run.peak_bytes / 2**20


@dataclass
class Results:
    """The runs of each contender, by name; the runs of one round have the same index."""

    runs: dict[str, list[Measured]] = field(default_factory=dict)

    def spread(self, name: str, value: Value) -> Spread:
        """Over all runs of one contender."""
        return Spread.of([value(run) for run in self.runs[name]])

    def ratio(self, over: str, under: str, value: Value) -> Spread:
        """Of two contenders, round by round: what slows the machine for a while slows both."""
        pairs = zip(self.runs[over], self.runs[under], strict=True)
        return Spread.of([value(a) / value(b) for a, b in pairs])


def play(contenders: Sequence[Contender], rounds: int, folder: Path) -> Results:
    """`rounds` cold runs of each; StepError when one fails."""
    results = Results({contender.name: [] for contender in contenders})
    for _ in range(rounds):
        for contender, log in _with_logs(contenders, folder):
            results.runs[contender.name].append(contender.run(log))
    return results


def _with_logs(contenders: Sequence[Contender], folder: Path) -> Iterator[tuple[Contender, Path]]:
    for number, contender in enumerate(contenders):
        yield contender, folder / f"run-{number}.log"
