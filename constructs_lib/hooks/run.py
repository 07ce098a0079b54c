"""One run from the platform to its report: `plan` reads, `apply` waits, reads, changes and verifies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.hooks import pipeline
from constructs_lib.hooks.alert_check import HOOK as ALERTS
from constructs_lib.hooks.alert_check import WAIT_SECONDS, alert_check
from constructs_lib.hooks.apart import Restore, restores
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.applications import (
    Applications,
    Deploy,
    Empty,
    Forget,
    Numbered,
    Pending,
    Recorded,
    Refused,
)
from constructs_lib.hooks.deploying import rollout_of
from constructs_lib.hooks.finding import Finding
from constructs_lib.hooks.gate import spared_sites, wait_until_ready
from constructs_lib.hooks.hook import Change, Hook, Outcome, Verdict
from constructs_lib.hooks.jobs import Jobs
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.reached import Reached
from constructs_lib.hooks.report import Report, diff_lines
from constructs_lib.hooks.settings import Settings
from constructs_lib.hooks.smoke import smoke_test
from constructs_lib.hooks.unchanged import Unchanged
from constructs_lib.hooks.wanted import within
from constructs_lib.plan.alerts import platform_rules

NOTHING_HELD: Mapping[str, Restore] = {}
_LATER = "not pruned yet: what no contract names any longer may still serve"
GATE_SECONDS = 900.0
"""How long a platform that was just deployed may take: machines boot, install and fetch images."""


def held(platform: Platform) -> Mapping[str, Restore]:
    """Contract → the restore that keeps others away from it; nothing where Consul is silent."""
    home = platform.consuls.get(platform.home)
    try:
        return restores(home) if home is not None else {}
    except ApiError:
        return {}


def applications(
    platform: Platform, compiled: Compiled, held: Mapping[str, Restore] = NOTHING_HELD
) -> tuple[Verdict, ...]:
    """How each contract's application is, as Marathon, Consul and the edges see it; nothing is changed.

    Of one that is `held` by a restore, no other command is what helps.
    """
    rollout = rollout_of(platform)
    given_up = _GivenUp(rollout.refused)
    apps = Applications(
        platform.marathon, compiled, rollout.deploy, refused=given_up.refused, seen=Reached(platform).seen
    )
    told = (given_up.told(apps.verdict(contract)) for contract in compiled.contracts)
    return tuple(_beside(held.get(one.name), one) for one in told)


def _beside(restore: Restore | None, verdict: Verdict) -> Verdict:
    if restore is None or verdict.good:
        return verdict
    why = "its data is being restored" if restore.runs else "a restore of its data did not end"
    return replace(verdict, says=f"{verdict.says}; {why}", try_next=restore.verdict.try_next)


class _GivenUp:
    """Which versions were given up, by Consul's word; without Consul, that nobody knows, asked for once."""

    def __init__(self, ask: Refused) -> None:
        self._ask = ask
        self._silent: ApiError | None = None
        self._unknown: set[str] = set()

    def refused(self, contract: CompiledContract) -> str | None:
        """As `applications.Refused`."""
        if self._silent is None:
            try:
                return self._ask(contract)
            except ApiError as error:
                self._silent = error
        self._unknown.add(contract.name)
        return None

    def told(self, verdict: Verdict) -> Verdict:
        """The verdict on a contract, with what is not known of it."""
        if verdict.name not in self._unknown:
            return verdict
        says = f"{verdict.says}; whether its version was given up is not known: {self._silent}"
        return replace(verdict, says=says, try_next="clustermesos status")


def alerts(
    platform: Platform,
    compiled: Compiled,
    serving: Collection[str],
    *,
    wait: float = 0.0,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Whether every Prometheus has the rules of contracts and platform, and what fires; see alert_check."""
    if not platform.consuls:
        return Outcome(hook=ALERTS)
    rules = _settings(platform, compiled).rules
    return alert_check(platform.endpoints, compiled, rules, serving, platform.deadline, wait=wait, say=say)


def _settings(platform: Platform, compiled: Compiled, *, prune: bool = False) -> Settings:
    own = {name: platform_rules(site) for name, site in platform.plan.sites.items()}
    return Settings(platform.consuls, compiled, platform=own, prune=prune, home=platform.home)


def _restored(platform: Platform) -> Collection[str]:
    home = platform.consuls.get(platform.home)
    return restores(home) if home is not None else ()


def _untouched(chronos: Finding) -> Outcome:
    """Of jobs, which a run without Chronos leaves as they are."""
    verdict = Verdict(
        kind="job", name="all", good=False, says=f"not touched: {chronos.says}", try_next="clustermesos apply"
    )
    return Outcome(hook=Jobs.name, verdicts=(verdict,))


class Run:
    """What a run needs; `deploy`, `pending`, `forget` and the like are those of a `rollout.Rollout`."""

    @classmethod
    def of(
        cls,
        platform: Platform,
        compiled: Compiled,
        *,
        prune: bool = False,
        forgive: bool = False,
        say: Callable[[str], None] = lambda _: None,
        gate_seconds: float = GATE_SECONDS,
        degraded: bool = False,
    ) -> Run:
        """A run on a platform as it is; `forgive` tries versions again that turned round before.

        `degraded` is content with a platform that has enough for an urgent change.
        """
        rollout = rollout_of(platform, compiled, forgive=forgive)
        return cls(
            platform,
            compiled,
            rollout.deploy,
            pending=rollout.pending,
            number=rollout.number,
            refused=rollout.refused,
            empty=rollout.empty,
            forget=rollout.forget,
            recorded=rollout.recorded,
            prune=prune,
            say=say,
            gate_seconds=gate_seconds,
            degraded=degraded,
        )

    def __init__(
        self,
        platform: Platform,
        compiled: Compiled,
        deploy: Deploy,
        *,
        pending: Pending = lambda _contract: (),
        number: Numbered = within,
        refused: Refused = lambda _contract: None,
        empty: Empty = lambda _name, _deadline, _say: 0,
        forget: Forget = lambda _name, _deadline, _say: None,
        recorded: Recorded = tuple,
        prune: bool = False,
        say: Callable[[str], None] = lambda _: None,
        gate_seconds: float = GATE_SECONDS,
        degraded: bool = False,
    ) -> None:
        self._platform = platform
        self._compiled = compiled
        self._say = say
        self._gate_seconds = gate_seconds
        self._degraded = degraded
        self._apps = Applications(
            platform.marathon,
            compiled,
            deploy,
            pending=pending,
            number=number,
            refused=refused,
            empty=empty,
            forget=forget,
            recorded=recorded,
            seen=Unchanged(platform, say).seen,
            prune=prune,
        )
        self._before: Sequence[Hook[Any]] = (
            (_settings(platform, compiled, prune=prune),) if platform.consuls else ()
        )
        chronos = platform.endpoints.has("chronos")
        self._after: Sequence[Hook[Any]] = (
            (
                Jobs(
                    platform.chronos,
                    compiled,
                    prune=prune,
                    now=platform.now,
                    restored=lambda: _restored(platform),
                ),
            )
            if chronos
            else ()
        )

    @property
    def applications(self) -> Applications:
        """The contracts' applications, as this run reads them."""
        return self._apps

    def plan(self) -> tuple[Change, ...]:
        """Everything that `apply` would change; nothing is changed."""
        return self._differences({hook.name: hook.read() for hook in (*self._before, *self._after)})

    def apply(self) -> Report:
        """Do it. HookError where the platform is not ready or can't be read: nothing was changed then."""
        platform, say = self._platform, self._say
        deadline = platform.deadline
        ready = wait_until_ready(
            platform.endpoints,
            platform.expected,
            deadline.within(self._gate_seconds),
            say,
            spared=spared_sites(platform, self._compiled),
            degraded=self._degraded,
        )
        silent = [one for one in ready if one.check == "chronos" and not one.sure]
        if silent:
            self._after = ()
        read = {hook.name: hook.read() for hook in (*self._before, *self._after)}
        for line in diff_lines(self._differences(read)):
            say(line)
        before = [pipeline.run_hook(hook, say, read[hook.name], spare=_LATER) for hook in self._before]
        apps = pipeline.run_apps(self._compiled, self._apps, deadline, say)
        # What was read before long deployments may be old.
        later = {} if apps.changes else read
        spare = pipeline.not_pruned(apps.verdicts) or (f"not pruned: {apps.error}" if apps.error else "")
        before = [self._pruned(*one, spare) for one in zip(self._before, before, strict=True)]
        after = [pipeline.run_hook(hook, say, later.get(hook.name), spare=spare) for hook in self._after]
        outcomes = [*before, apps, *after, *map(_untouched, silent)]
        outcomes.append(smoke_test(platform, self._compiled, deadline))
        if all(one.good for one in before):
            # Last: by now Prometheus has had the time to take over what was written first.
            serving = [one.name for one in apps.verdicts if one.good]
            outcomes.append(alerts(platform, self._compiled, serving, wait=WAIT_SECONDS, say=say))
        return Report(
            cluster=self._compiled.cluster,
            simulator=platform.endpoints.simulator,
            ready=ready,
            outcomes=tuple(outcomes),
        )

    def _pruned(self, hook: Hook[Any], first: Outcome, spare: str) -> Outcome:
        """What became of a hook that ran before the applications, once what they needed may go."""
        left = [one for one in first.changes if one.details == (_LATER,)]
        if not left or first.error:
            return first
        if spare:
            told = (replace(one, details=(spare,)) if one in left else one for one in first.changes)
            return replace(first, changes=tuple(told))
        then = pipeline.run_hook(hook, self._say)
        done = tuple(one for one in first.changes if one not in left)
        return replace(then, changes=(*done, *then.changes), seconds=first.seconds + then.seconds)

    def _differences(self, read: Mapping[str, Any]) -> tuple[Change, ...]:
        """In the order in which they would be made."""
        return (
            *(change for hook in self._before for change in hook.diff(read[hook.name])),
            *self._unheld([it for one in self._compiled.contracts for it in self._apps.changes(one)]),
            *self._apps.left_over(),
            *(change for hook in self._after for change in hook.diff(read[hook.name])),
        )

    def _unheld(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Those of applications; what a restore keeps everybody away from is left as it is."""
        saved = {contract.name for contract in self._compiled.contracts if contract.restores}
        restoring = held(self._platform) if saved & {one.name for one in changes} else NOTHING_HELD
        return [
            replace(one, action="keep", details=(restoring[one.name].what, *one.details))
            if one.name in restoring
            else one
            for one in changes
        ]
