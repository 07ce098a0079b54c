"""Carrying the rule of `scaling` out: measure, decide, keep the number, have the rollout bring it about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.hooks.acting import Say
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.prometheus import Prometheus
from constructs_lib.hooks.rollout import Rollout
from constructs_lib.hooks.scaling import Decision, Load, decide
from constructs_lib.hooks.steps import End
from constructs_lib.hooks.watching import owned

NOT_MEASURED: Final = ("cpu", "memory")
"""Signals that nothing on the nodes measures by container yet."""


@dataclass(frozen=True, kw_only=True)
class Scaler:
    """Scales contracts of one platform; `sites` are the sites' Prometheus."""

    rollout: Rollout
    sites: Mapping[str, Prometheus]

    def decide(self, contract: CompiledContract) -> Decision:
        """What load asks for now; nothing is changed. ApiError where Marathon or Consul do not answer."""
        kept = self.rollout.documents.of(contract.name)
        apps = owned(contract, self.rollout.marathon.below(f"/{contract.name}"))
        app = apps.get(contract.app.version)
        if app is None:
            return Decision(count=None, why=f"version {contract.app.version} does not run")
        signal = contract.instances.scaling.signal if contract.instances.scaling else ""
        if signal in NOT_MEASURED and kept.count is not None:
            return Decision(count=None, why=f"nothing measures {signal}: follow a PromQL expression")
        utilization = self._measured(signal) if signal not in NOT_MEASURED else ()
        if isinstance(utilization, str):
            return Decision(count=None, why=utilization)
        return decide(contract, kept, Load(utilization=utilization, asked=int(app.get("instances") or 0)))

    def scale(self, contract: CompiledContract, deadline: Deadline, say: Say) -> End | None:
        """Decide, say it with all inputs, and do it; None where nothing is to do."""
        decision = self.decide(contract)
        say(f"{contract.name}: {decision.why}")
        kept = self.rollout.documents.of(contract.name)
        if decision.count is None or decision.count == kept.count:
            return None
        self.rollout.documents.store_count(contract.name, decision.count)
        return self.rollout.deploy(contract, deadline, say)

    def _measured(self, query: str) -> tuple[float, ...] | str:
        now = self.rollout.now()
        try:
            return tuple(value for site in self.sites.values() for value in site.values(query, now))
        except ApiError as error:
            return f"nothing can be measured: {error}"
