"""What visitors get of applications that Marathon calls healthy, as Consul and the edges see them.

Each edge is asked once, and each site's Consul once for all checks; only services of which something fails,
or of which Consul has fewer instances than Marathon, are looked at one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.hooks.api_error import AWAY, ApiError
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.edge import EdgeReport, PlannedEdges, is_serf
from constructs_lib.hooks.hook import Verdict
from constructs_lib.hooks.marathon import App, tasks_of
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.registered import by_endpoint, lack, registered

ASK_SECONDS: Final = 15.0
"""What Consul may take: Marathon's word is told without it as well."""


class Reached:
    """Of one platform, at one time: what it asked for all contracts it does not ask again.

    `one_by_one` asks for the one contract that it is made for, and not for all.
    """

    def __init__(
        self, platform: Platform, consuls: Mapping[str, Consul] | None = None, *, one_by_one: bool = False
    ) -> None:
        self._platform = platform
        self._consuls = platform.consuls_within(ASK_SECONDS) if consuls is None else consuls
        self._one_by_one = one_by_one
        self._silent: dict[str, ApiError] = {}

    def seen(self, contract: CompiledContract, app: App, verdict: Verdict) -> Verdict:
        """The verdict on what Marathon says, held against what gets requests."""
        if contract.service is None or not self._consuls or not verdict.good:
            return verdict
        try:
            trouble = next(self._troubles(contract, contract.service, app), None)
        except ApiError as error:
            return _unsure(verdict, error)
        if trouble is None:
            return verdict
        if trouble.unknown_at is not None:
            return _unsure(verdict, trouble.unknown_at)
        helps = f"clustermesos explain {contract.name}"
        return replace(
            verdict, good=False, says=f"{verdict.says} by Marathon's word, but {trouble.why}", try_next=helps
        )

    def _troubles(self, contract: CompiledContract, service: str, app: App) -> Iterator[_Trouble]:
        tasks = [task for task in tasks_of(app) if _healthy(app, task)]
        if self._suspect(service, len(tasks)):
            everywhere = self._everywhere(lambda consul: consul.health.service(service)[1])
            known = {endpoint: one for there in everywhere for endpoint, one in by_endpoint(there).items()}
            # What is registered where nobody can be asked is not what lacks.
            away = next(iter(self._silent.values()), None)
            for task in tasks:
                if missing := lack(contract.name, task, registered(task, known), ()):
                    unknown = away if registered(task, known) is None else None
                    yield _Trouble(f"{task.get('id')} {missing.why}", unknown)
        if contract.route is not None:
            for report in self._reports:
                yield from map(_Trouble, _at_edge(contract.name, report, tasks))

    def _everywhere(self, ask: Callable[[Consul], Any]) -> list[Any]:
        """What each site's Consul says; one of another site that is silent is not asked again."""
        said = []
        for site in [one for one in self._consuls if one not in self._silent]:
            try:
                said.append(ask(self._consuls[site]))
            except ApiError as error:
                if error.kind not in AWAY or site == self._platform.home:
                    raise
                self._silent[site] = error
        return said

    @cached_property
    def _reports(self) -> tuple[EdgeReport, ...]:
        platform = self._platform
        return PlannedEdges(platform.endpoints, self._consuls, platform.deadline).look()

    def _suspect(self, service: str, healthy: int) -> bool:
        """Whether something fails or lacks; all may where a node is dead, whose checks stay as they were."""
        if self._one_by_one:
            return True
        everything, failing, registered = self._checks
        return everything or service in failing or registered[service] < healthy

    @cached_property
    def _checks(self) -> tuple[bool, frozenset[str], Counter[str]]:
        """Whether a node fails, the services that do, and how many instances with a check each has."""
        everywhere = self._everywhere(lambda consul: consul.health.state("any")[1])
        checks = [check for there in everywhere for check in there]
        failing = [check for check in checks if check.get("Status") != "passing"]
        known = {
            (str(check["ServiceName"]), str(check.get("Node")), str(check.get("ServiceID")))
            for check in checks
            if check.get("ServiceName")
        }
        return (
            any(is_serf(check) or not check.get("ServiceName") for check in failing),
            frozenset(str(check.get("ServiceName")) for check in failing),
            Counter(service for service, _node, _id in known),
        )


@dataclass(frozen=True)
class _Trouble:
    why: str
    unknown_at: ApiError | None = None
    """Why it may be none after all."""


def _unsure(verdict: Verdict, error: ApiError) -> Verdict:
    return replace(verdict, says=f"{verdict.says} by Marathon's word; {error}", sure=False)


def _healthy(app: App, task: Mapping[str, Any]) -> bool:
    """Whether Marathon calls the task healthy; where it says nothing there is nothing to hold against it."""
    results = [result for result in task.get("healthCheckResults") or () if result]
    checked = bool(results) or not app.get("healthChecks")
    return task.get("state") == "TASK_RUNNING" and checked and all(one.get("alive") for one in results)


def _at_edge(route: str, report: EdgeReport, tasks: list[Mapping[str, Any]]) -> Iterator[str]:
    if report.routes is None:
        return
    if route in report.problems:
        yield f"nginx on {report.name} does not take its newest route: {report.problems[route]}"
    elif route not in report.routes:
        yield f"the edge {report.name} does not have its route"
    else:
        there = set((report.routes[route].get("instances") or {}).values())
        missing = [task for task in tasks if not there & set(_addresses(task))]
        if missing:
            yield f"the edge {report.name} does not know {len(missing)} of {len(tasks)} healthy instances"


def _addresses(task: Mapping[str, Any]) -> Iterator[str]:
    return (f"{task.get('host')}:{port}" for port in task.get("ports") or ())
