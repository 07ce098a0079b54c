"""Why a deployment makes no progress: asked seldom while it waits, and once where it ends without success.

What is asked, and the words in which it is told, are those of `clustermesos explain`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.errors import HookError
from constructs_lib.hooks.explain import Explanation
from constructs_lib.hooks.observed import Health
from constructs_lib.hooks.standing import Standing, ending, standing
from constructs_lib.hooks.steps import End, Step
from constructs_lib.hooks.watching import Picture

FIRST_SECONDS: Final = 20.0
"""How long nothing has to have happened before it is asked why; then twice as long, and so on."""


class Explainer(Protocol):
    """Asks Marathon and Mesos."""

    def explain(
        self, contract: CompiledContract, picture: Picture, stands: Standing | None
    ) -> Explanation | None:
        """Why the contract's version does not serve; None where they do not answer.

        `stands` is how its deployment ended; None while it goes on.
        """


class LateError(HookError):
    """A deployment that its time did not suffice for; `found` is what it waited for, where that is known."""

    def __init__(self, text: str, found: Explanation | None) -> None:
        super().__init__(text)
        self.found = found


@dataclass(frozen=True, kw_only=True)
class Ended(End):
    """An end with what was found when the version was given up."""

    found: Explanation


@dataclass(kw_only=True)
class Stuck:
    """What is known of why one deployment does not go on."""

    contract: CompiledContract
    explainer: Explainer | None
    say: Callable[[str], None]
    found: Explanation | None = field(default=None, init=False)
    """Why it ended without success."""
    _picture: Picture | None = field(default=None, init=False)
    _asked: bool = field(default=False, init=False)
    _since: float = field(default=-1.0, init=False)
    _next: float = field(default=FIRST_SECONDS, init=False)
    _reason: str = field(default="", init=False)

    def look(self, step: Step, picture: Picture) -> None:
        """Ask where this step gives the version up: before it is done, since it ends what could be asked."""
        self._picture = picture
        stands = ending(self.contract, step, picture.observed.progress)
        if stands is not None:
            self._ask(picture, stands)

    def waiting(self, step: Step, picture: Picture) -> str:
        """`; the reason`, to put behind what is waited for; empty where none is known or asked for yet."""
        since = step.progress.progressed
        if since != self._since:
            self._since, self._next, self._reason = since, FIRST_SECONDS, ""
        waited = picture.observed.now - since
        if waited >= self._next and self.explainer is not None and _lacks(step, picture):
            self._next = 2 * waited
            found = self.explainer.explain(self.contract, picture, None)
            self._reason = f"; {found.short}" if found is not None and not found.good else ""
        return self._reason

    def ended(self, end: End) -> End:
        """The end, with what was found."""
        if self.found is None:
            return end
        return Ended(good=end.good, why=end.why, gave_up=end.gave_up, found=self.found)

    def late(self) -> Explanation | None:
        """What it waits for where it stops in the middle; None where it was not even looked at."""
        if self._picture is not None:
            self._ask(self._picture, standing(self.contract, self._picture))
        return self.found

    def _ask(self, picture: Picture, stands: Standing | None) -> None:
        if self._asked or self.explainer is None:
            return
        self._asked = True
        found = self.explainer.explain(self.contract, picture, stands)
        if found is not None and not found.good:
            self.found = found
            for line in found.lines():
                self.say(line)


def _lacks(step: Step, picture: Picture) -> bool:
    """Whether it goes forward and an instance that was asked for does not serve."""
    version = picture.observed.versions.get(step.progress.version or "")
    if version is None or step.progress.turned is not None:
        return False
    return sum(one.health is Health.HAPPY for one in version.instances) < version.asked
