"""Carrying the rule of `scaling` out: measure, decide, keep the number, have the rollout bring it about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.hooks.acting import Say
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.documents import Kept
from constructs_lib.hooks.marathon import App
from constructs_lib.hooks.prometheus import Prometheus
from constructs_lib.hooks.rollout import Rollout
from constructs_lib.hooks.scaling import Decision, Load, decide
from constructs_lib.hooks.steps import End
from constructs_lib.hooks.usage import SIGNALS, Measured, Usage
from constructs_lib.hooks.wanted import number, running
from constructs_lib.hooks.watching import owned

_MOST_REASONS: Final = 3


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """Scales contracts of one platform; `sites` are the sites' Prometheus, `usage` asks the agents."""

    rollout: Rollout
    sites: Mapping[str, Prometheus]
    usage: Usage

    def decide(self, contract: CompiledContract) -> Decision:
        """What load asks for now; nothing is changed. ApiError where Marathon or Consul do not answer."""
        return self._decided(contract)[0]

    def scale(self, contract: CompiledContract, deadline: Deadline, say: Say) -> tuple[Decision, End | None]:
        """Decide, say it with all inputs, and do it; no end where nothing is to do."""
        decision, kept, asked = self._decided(contract)
        say(f"{contract.name}: {decision.why}")
        now, same = self.rollout.now(), decision.count is None or decision.count == kept.count
        count, at = (kept.count, kept.counted) if same else (decision.count, now)
        if count is not None:
            self.rollout.documents.store_count(contract.name, count, at, why=decision.why, decided=now)
        if same and decision.count in (None, asked) and not _interrupted(contract, kept):
            return decision, None
        return decision, self.rollout.deploy(contract, deadline, say)

    def _decided(self, contract: CompiledContract) -> tuple[Decision, Kept, int]:
        """The decision, what is kept, and how many instances Marathon was told to run."""
        kept = self.rollout.documents.of(contract.name)
        apps = owned(contract, self.rollout.marathon.below(f"/{contract.name}"))
        app = apps.get(contract.app.version)
        if app is None:
            return Decision(count=None, why=f"version {contract.app.version} does not run"), kept, 0
        asked = int(app.get("instances") or 0)
        numbers = {version: int(one.get("instances") or 0) for version, one in apps.items()}
        if not self.rollout.sites or number(contract, kept, numbers).adopted:
            # Without a Consul nothing can be kept, and so nothing was lost. Out of bounds it is brought in.
            kept = replace(kept, count=running(kept, numbers))
        if _interrupted(contract, kept):
            why = f"goes on to {kept.count} instances, which were decided before and not brought about"
            return Decision(count=kept.count, why=why), kept, asked
        try:
            measured = self._measured(contract, kept, app)
        except ApiError as error:
            return Decision(count=None, why=f"nothing can be measured: {error}"), kept, asked
        load = Load(
            utilization=measured.utilization,
            missing=len(measured.missing),
            asked=asked,
            now=self.rollout.now(),
        )
        decision = decide(contract, kept, load)
        return replace(decision, why=f"{decision.why}{_reasons(measured.missing)}"), kept, asked

    def _measured(self, contract: CompiledContract, kept: Kept, app: App) -> Measured:
        signal = contract.instances.scaling.signal if contract.instances.scaling else ""
        if kept.count is None or not kept.progress.done:
            # Nothing that is measured changes what is decided then.
            return Measured()
        if signal in SIGNALS:
            return self.usage.of(app, signal)
        if not self.sites:
            raise ApiError("missing", "Prometheus", "the cluster has none")
        now = self.rollout.now()
        return Measured(
            utilization=tuple(value for site in self.sites.values() for value in site.values(signal, now))
        )


def _interrupted(contract: CompiledContract, kept: Kept) -> bool:
    """Whether a change of the number alone was begun, and whoever did it ended before its end."""
    progress, version = kept.progress, contract.app.version
    under_way = not (progress.done or progress.paused) and progress.turned is None
    return under_way and progress.version == progress.settled == version and kept.count is not None


def _reasons(missing: Sequence[str]) -> str:
    found = list(dict.fromkeys(missing))
    more = f"; and {len(found) - _MOST_REASONS} reasons more" if len(found) > _MOST_REASONS else ""
    return "".join(f"; {one}" for one in found[:_MOST_REASONS]) + more
