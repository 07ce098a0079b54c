"""What `apply` makes of applications that it need not deploy: what `status` says, with some patience.

All are judged by one look. Only for one that is found wanting Marathon, Consul and the edges are asked again:
the look may be older than what was deployed since, and a check that just failed may pass in a moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Final

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.hooks.applications import as_it_is
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.hook import Verdict
from constructs_lib.hooks.marathon import App
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.reached import Reached

PATIENCE_SECONDS: Final = 30.0
"""For all of a run's together: where every check fails, a thousand contracts must not wait one by one."""
_PAUSE = 2.0


class Unchanged:
    """Of one run."""

    def __init__(self, platform: Platform, say: Callable[[str], None]) -> None:
        self._platform = platform
        self._say = say

    def seen(self, contract: CompiledContract, app: App, verdict: Verdict) -> Verdict:
        """The verdict on what Marathon says, held against what gets requests, now or within the patience."""
        found = self._all.seen(contract, app, verdict)
        return found if found.good or not verdict.good else self._again(contract, app, found)

    # The run's own connections: those of `status` are given up long before a deployment ends.
    @cached_property
    def _all(self) -> Reached:
        return Reached(self._platform, self._platform.consuls)

    @cached_property
    def _patience(self) -> Deadline:
        return self._platform.deadline.within(PATIENCE_SECONDS)

    def _again(self, contract: CompiledContract, app: App, found: Verdict) -> Verdict:
        told = ""
        while not (found := self._anew(contract, str(app["id"]), found)).good and not self._patience.over:
            if found.says != told:
                self._say(f"{contract.name}: waits to get requests: {found.says}")
                told = found.says
            self._patience.sleep(_PAUSE)
        return found

    def _anew(self, contract: CompiledContract, id: str, before: Verdict) -> Verdict:
        app = self._platform.marathon.app(id)
        if app is None:
            return replace(before, says=f"{id} was deleted in between", try_next="clustermesos apply")
        reached = Reached(self._platform, self._platform.consuls, one_by_one=True)
        return reached.seen(contract, app, as_it_is(contract, app))
