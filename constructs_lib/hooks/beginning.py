"""Before anything of a version is created, or of the former one ended: is there any agent for it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.failing import HOPELESS_SECONDS
from constructs_lib.hooks.steps import End
from constructs_lib.hooks.stuck import Ended, Explainer
from constructs_lib.hooks.wanted import wanted
from constructs_lib.hooks.watching import Picture
from constructs_lib.hooks.words import Words

_PAUSE: Final = 5.0


class Placing(Protocol):
    """Knows the agents."""

    def hopeless(self, app: Mapping[str, Any]) -> str | None:
        """Why no agent can ever take an instance of this app; None while one could."""


@dataclass(kw_only=True)
class Beginning:
    """Of one run: an agent that starts anew is waited for once, not by each contract again."""

    placing: Placing | None
    explainer: Explainer | None = None
    forgive: bool = False
    _patience: Deadline | None = field(default=None, init=False)

    def refusal(
        self, contract: CompiledContract, picture: Picture, deadline: Deadline, say: Callable[[str], None]
    ) -> End | None:
        """How a deployment ends that is not even begun; None where it is under way, or there may be room."""
        if self.placing is None or not self._begins(contract, picture):
            return None
        words = Words(say, deadline)
        while why := self.placing.hopeless(contract.app.body):
            if self._patience is None:
                self._patience = deadline.within(HOPELESS_SECONDS)
            if self._patience.over:
                return self._end(contract, picture, why, say)
            words.tell(f"{contract.name}: waits for an agent: {why}")
            self._patience.sleep(_PAUSE)
        return None

    def _end(self, contract: CompiledContract, picture: Picture, why: str, say: Callable[[str], None]) -> End:
        says = f"not begun, and nothing was changed: {why}"
        found = self.explainer.explain(contract, picture, None) if self.explainer else None
        if found is None or found.good:
            return End(good=False, why=says)
        for line in found.lines():
            say(line)
        return Ended(good=False, why=says, found=found)

    def _begins(self, contract: CompiledContract, picture: Picture) -> bool:
        kept, there, version = picture.kept, picture.observed.versions, contract.app.version
        given_up = version in kept.progress.refused and not self.forgive
        under_way = not kept.progress.done or version in there
        return not (given_up or under_way) and wanted(contract, kept, there).count > 0
