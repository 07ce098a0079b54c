"""How long a program that does not answer is asked again, and who hears of it meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from constructs_lib.hooks.deadline import Deadline

LOOK_SECONDS: Final = 15.0
"""For what only looks: that a program is down is an answer, too."""
BEGIN_SECONDS: Final = 60.0
"""For what changes something, until it has: a new leader takes that long, and nothing is lost by an error."""
FIRST_WORD_SECONDS: Final = 5.0
REMIND_SECONDS: Final = 30.0
AWAY_SECONDS: Final = 5.0
"""For what other sites than the home site are asked: one that is cut off must not hold up the others."""
_AFTERWARDS_SECONDS = 2.0
_AWAY_AFTERWARDS_SECONDS = 0.5


@dataclass
class Patience:
    """Of one command; all clients of a platform share it. Unbounded, it ends with the command's deadline."""

    seconds: float = math.inf
    say: Callable[[str], None] = lambda _line: None
    afterwards: float = _AFTERWARDS_SECONDS
    _given_up: set[str] = field(default_factory=set)

    def with_(self, program: str) -> float:
        """Seconds for one request; few for a program that was waited for in vain before: all wait once."""
        if program in self._given_up:
            return min(self.seconds, self.afterwards)
        return self.seconds

    def elsewhere(self) -> Patience:
        """For the programs of a site that may be cut off."""
        return Patience(min(self.seconds, AWAY_SECONDS), self.say, _AWAY_AFTERWARDS_SECONDS)

    def give_up(self, program: str) -> None:
        """It was asked for as long as this allows; where that is the whole deadline, nobody asks again."""
        if self.seconds < math.inf:
            self._given_up.add(program)

    def answered(self, program: str) -> None:
        """It is there, again perhaps."""
        self._given_up.discard(program)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """No longer than this as long as the context lasts."""
        before = self.seconds
        self.seconds = min(before, seconds)
        try:
            yield
        finally:
            self.seconds = before
            if before == math.inf:
                self._given_up.clear()


class Wait:
    """One request that is tried again; tells of it after a few seconds, and then now and again."""

    def __init__(self, patience: Patience, program: str, deadline: Deadline) -> None:
        self.bound = deadline.within(patience.with_(program))
        self._patience, self._program = patience, program
        self._next_word = self.bound.left - FIRST_WORD_SECONDS

    def tell(self, trouble: str) -> None:
        """What is wrong now, where it is time to say so."""
        left = self.bound.left
        if 0 < left <= self._next_word:
            self._patience.say(f"waits for {self._program}: {trouble} ({left:.0f} s left)")
            self._next_word = left - REMIND_SECONDS
