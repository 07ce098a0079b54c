"""What a long wait tells: a line where it changes, and again now and then where it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from constructs_lib.hooks.deadline import Deadline

REMIND_SECONDS: Final = 30.0


class Words:
    """Says what is waited for where that changes, and again where it does not for long."""

    def __init__(self, say: Callable[[str], None], deadline: Deadline) -> None:
        self._say, self._deadline = say, deadline
        self.last = ""
        self._left = deadline.left

    def tell(self, text: str) -> None:
        """Say it, if it is new or was said long ago."""
        left = self._deadline.left
        if text != self.last:
            self._say(text)
        elif self._left - left >= REMIND_SECONDS:
            self._say(f"{text} ({left:.0f} s left)")
        else:
            return
        self.last, self._left = text, left
