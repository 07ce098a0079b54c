"""One run from the platform to its report: `plan` reads, `apply` waits, reads, changes and verifies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from constructs_lib.contracts.compiled import Compiled
from constructs_lib.hooks import pipeline
from constructs_lib.hooks.applications import Applications, Deploy, Forget, Pending
from constructs_lib.hooks.gate import wait_until_ready
from constructs_lib.hooks.hook import Change, Hook, Outcome
from constructs_lib.hooks.jobs import Jobs
from constructs_lib.hooks.platform import Platform, expected
from constructs_lib.hooks.report import Report, diff_lines
from constructs_lib.hooks.settings import Settings
from constructs_lib.hooks.smoke import smoke_test

GATE_SECONDS = 900.0
"""How long a platform that was just deployed may take: machines boot, install and fetch images."""


class Run:
    """What a run needs; `deploy`, `pending` and `forget` are those of a `rollout.Rollout`."""

    def __init__(
        self,
        platform: Platform,
        compiled: Compiled,
        deploy: Deploy,
        *,
        pending: Pending = lambda _contract: (),
        forget: Forget = lambda _name, _deadline, _say: None,
        prune: bool = False,
        say: Callable[[str], None] = lambda _: None,
        gate_seconds: float = GATE_SECONDS,
    ) -> None:
        self._platform = platform
        self._compiled = compiled
        self._say = say
        self._gate_seconds = gate_seconds
        self._apps = Applications(
            platform.marathon, compiled, deploy, pending=pending, forget=forget, prune=prune
        )
        self._before: Sequence[Hook[Any]] = (
            (Settings(platform.consuls, compiled, prune=prune),) if platform.consuls else ()
        )
        chronos = platform.endpoints.has("chronos")
        self._after: Sequence[Hook[Any]] = (Jobs(platform.chronos, compiled, prune=prune),) if chronos else ()

    def plan(self) -> tuple[Change, ...]:
        """Everything that `apply` would change; nothing is changed."""
        hooks = [change for hook in self._before for change in hook.diff(hook.read())]
        apps = [
            *(change for contract in self._compiled.contracts for change in self._apps.changes(contract)),
            *self._apps.left_over(),
        ]
        jobs = [change for hook in self._after for change in hook.diff(hook.read())]
        return (*hooks, *apps, *jobs)

    def apply(self) -> Report:
        """Do it. HookError only where the platform is not ready, and then nothing was changed."""
        platform, say = self._platform, self._say
        deadline = platform.deadline
        wanted = expected(platform.plan, platform.tokens)
        ready = wait_until_ready(platform.endpoints, wanted, deadline.within(self._gate_seconds), say)
        for line in diff_lines(self.plan()):
            say(line)
        outcomes: list[Outcome] = [pipeline.run_hook(hook, say) for hook in self._before]
        outcomes.append(pipeline.run_apps(self._compiled, self._apps, deadline, say))
        outcomes += [pipeline.run_hook(hook, say) for hook in self._after]
        outcomes.append(smoke_test(platform, self._compiled, deadline))
        return Report(
            cluster=self._compiled.cluster,
            simulator=platform.endpoints.simulator,
            ready=ready,
            outcomes=tuple(outcomes),
        )
