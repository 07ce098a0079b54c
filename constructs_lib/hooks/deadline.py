"""Time that a run or a step has, and what time is: tests put a clock of their own in its place."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Clock:
    """Seconds that only grow, and how to let some of them pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


REAL = Clock()


@dataclass(frozen=True)
class Deadline:
    """A point in time; `seconds` counts from when it is made."""

    seconds: float
    clock: Clock = REAL
    end: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "end", self.clock.now() + self.seconds)

    @property
    def left(self) -> float:
        """Seconds until then; never below 0."""
        return max(0.0, self.end - self.clock.now())

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        return self.left <= 0

    def within(self, seconds: float) -> Deadline:
        """The deadline of a step that may take `seconds`, and never longer than this one."""
        return Deadline(min(seconds, self.left), self.clock)

    def sleep(self, seconds: float) -> None:
        """Sleep, but not beyond the deadline."""
        bounded = min(seconds, self.left)
        if bounded > 0:
            self.clock.sleep(bounded)
