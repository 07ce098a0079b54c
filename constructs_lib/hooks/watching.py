"""Looking at one contract: Marathon's tasks, Consul's checks and the edges' reports joined to one picture.

The join goes by address and port, which Marathon, Registrator and nginx all know. What is remembered from one
look to the next is how long an instance has been happy and which tasks ended; a new process counts anew.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from constructs_lib.contracts.compiled import LABEL, CompiledContract
from constructs_lib.hooks.api_error import AWAY, ApiError
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.documents import Documents, Kept
from constructs_lib.hooks.edge import EdgeReport, Edges
from constructs_lib.hooks.marathon import App, Marathon, tasks_of
from constructs_lib.hooks.observed import Edge, Health, Instance, Observed, RouteState, Version
from constructs_lib.hooks.registered import Endpoint, Lack, Registered, by_endpoint, lack, registered

_ENDING = "TASK_KILLING"
_RUNNING = "TASK_RUNNING"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One look: what the strategy decides from, and what its actions need."""

    observed: Observed
    kept: Kept
    services: Mapping[str, str]
    """Task → what an edge knows it by: its id in Consul, or its own where it has none yet."""
    problems: Mapping[str, str]
    """Edge → why nginx there does not have the newest route; Consul of a site → why it does not answer."""
    lacks: Mapping[str, Lack] = field(default_factory=dict)
    """Task that Marathon calls healthy → what it lacks to get requests."""


@dataclass(frozen=True, kw_only=True)
class _Look:
    now: float
    first: bool
    kept: Kept
    registered: Mapping[Endpoint, Registered]
    reports: Sequence[EdgeReport]
    lacks: dict[str, Lack] = field(default_factory=dict)

    def in_route(self, version: str, service: str) -> bool:
        route = self.kept.route
        return route is not None and bool(route.weights.get(version)) and service not in route.drain


@dataclass
class Watch:
    """Looks at one contract again and again; `now` is wall-clock time, since documents outlive machines."""

    contract: CompiledContract
    marathon: Marathon
    sites: Mapping[str, Consul]
    documents: Documents
    edges: Edges
    now: Callable[[], float] = time.time
    killed: set[str] = field(default_factory=set)
    """Tasks that this process asked Marathon to kill."""
    _first: bool = True
    _happy_since: dict[str, float] = field(default_factory=dict)
    _seen: dict[str, set[str]] = field(default_factory=dict)
    _failed: dict[str, int] = field(default_factory=dict)
    _last_failure: dict[str, str] = field(default_factory=dict)

    def look(self) -> Picture:
        """Ask everybody once. The documents come first: what edges say can only be newer."""
        kept = self.documents.of(self.contract.name)
        apps = owned(self.contract, self.marathon.below(f"/{self.contract.name}"))
        known, silent = self._known(dict(kept.silent))
        reports = self.edges.look() if self.contract.route else ()
        look = _Look(now=self.now(), first=self._first, kept=kept, registered=known, reports=reports)
        self._first = False
        services = {
            str(task["id"]): _service_of(task, known) for app in apps.values() for task in tasks_of(app)
        }
        drained = set(kept.route.drain) if kept.route else set()
        route = RouteState(
            generation=kept.route.generation if kept.route else 0,
            weights=kept.route.weights if kept.route else {},
            drain=frozenset(task for task, service in services.items() if service in drained),
        )
        observed = Observed(
            now=look.now,
            versions={version: self._version(look, version, app) for version, app in apps.items()},
            edges=tuple(edge_of(report, self.contract.name) for report in reports),
            route=route,
            progress=kept.progress,
        )
        problems = {
            report.name: report.problems[self.contract.name]
            for report in reports
            if self.contract.name in report.problems
        } | {f"Consul of {site}": problem for site, problem in silent.items()}
        return Picture(observed=observed, kept=kept, services=services, problems=problems, lacks=look.lacks)

    def _known(self, silent: dict[str, str]) -> tuple[dict[Endpoint, Registered], dict[str, str]]:
        """What is registered anywhere, and the sites where nobody knows, those that were silent included."""
        found: dict[Endpoint, Registered] = {}
        for site, consul in self.sites.items() if self.contract.service else ():
            if site in silent:
                continue
            try:
                found |= by_endpoint(consul.health.service(self.contract.service)[1])
            except ApiError as error:
                if error.kind not in AWAY or site == self.documents.home:
                    raise
                silent[site] = error.said
        return found, silent

    def _version(self, look: _Look, version: str, app: App) -> Version:
        tasks = tasks_of(app)
        ending = [task for task in tasks if task.get("state") == _ENDING or str(task["id"]) in self.killed]
        rest = [task for task in tasks if task not in ending]
        return Version(
            version=version,
            asked=int(app.get("instances") or 0),
            instances=tuple(
                Instance(
                    task=str(task["id"]),
                    agent=str(task.get("host", "")),
                    health=self._health(look, version, app, task),
                )
                for task in rest
            ),
            ending=len(ending),
            failed=self._failures(version, app, {str(task["id"]) for task in tasks}),
        )

    def _failures(self, version: str, app: App, there: set[str]) -> int:
        """Tasks that ended and nobody ended; between two looks the last failure may be all that is left."""
        before = self._seen.get(version)
        last = str((app.get("lastTaskFailure") or {}).get("taskId", ""))
        gone = (before or set()) - there - self.killed
        if before is not None:
            unseen = bool(last) and last != self._last_failure[version] and last not in before | self.killed
            self._failed[version] = self._failed.get(version, 0) + len(gone) + unseen
        self._seen[version] = there
        self._last_failure[version] = last
        return self._failed.get(version, 0)

    def _health(self, look: _Look, version: str, app: App, task: Mapping[str, Any]) -> Health:
        id = str(task["id"])
        health = self._marathons(look, app, task)
        service = registered(task, look.registered)
        if health is Health.HAPPY and self.contract.service is not None:
            if missing := lack(self.contract.name, task, service, look.reports):
                look.lacks[id] = missing
                health = Health.STARTING
        elif health is Health.UNKNOWN and not (service and service.passing):
            health = Health.STARTING
        if health is not Health.HAPPY:
            self._happy_since.pop(id, None)
            return health
        # What has requests already when a process begins to look has proved itself before.
        known = look.first and look.in_route(version, service.id if service else id)
        since = self._happy_since.setdefault(id, 0.0 if known else look.now)
        return Health.HAPPY if look.now - since >= self.contract.deployment.min_healthy else Health.STARTING

    def _marathons(self, look: _Look, app: App, task: Mapping[str, Any]) -> Health:
        if task.get("state") != _RUNNING:
            return Health.UNKNOWN if task.get("state") == "TASK_UNREACHABLE" else Health.STARTING
        checks = app.get("healthChecks")
        if not checks:
            return Health.HAPPY
        results = [result for result in task.get("healthCheckResults") or () if result]
        if results:
            return Health.HAPPY if all(result.get("alive") for result in results) else Health.UNHEALTHY
        # None yet, or lost by a change of leader, which may last: one that old would have been killed.
        return Health.HAPPY if look.now - _started(task) > max(map(_doomed, checks)) else Health.UNKNOWN


def edge_of(report: EdgeReport, route: str) -> Edge:
    """What an edge's report says of one route; generation 0 where it does not have it."""
    if report.routes is None:
        return Edge(name=report.name, generation=None)
    told = report.routes.get(route) or {}
    return Edge(
        name=report.name,
        generation=int(told.get("generation", 0)),
        older=int(told.get("older", 0)),
        connections=int(told.get("connections", 0)),
    )


def owned(contract: CompiledContract, apps: Sequence[App]) -> dict[str, App]:
    """Version → app, of those that carry this cluster's and this contract's labels."""
    return {
        str(app["labels"][f"{LABEL}/version"]): app
        for app in apps
        if owner(app) == (contract.cluster, contract.name) and f"{LABEL}/version" in app["labels"]
    }


def owner(app: App) -> tuple[str | None, str | None]:
    """Cluster and contract that an app belongs to."""
    labels = app.get("labels") or {}
    return labels.get(f"{LABEL}/cluster"), labels.get(f"{LABEL}/contract")


def _doomed(check: Mapping[str, Any]) -> float:
    """Seconds after which Marathon has killed what never passed; its defaults are 300, 60 and 3."""
    failures = float(check.get("maxConsecutiveFailures", 3))
    return float(check.get("gracePeriodSeconds", 300)) + failures * float(check.get("intervalSeconds", 60))


def _started(task: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(task["startedAt"])).timestamp()
    except (KeyError, ValueError):
        return math.inf


def _service_of(task: Mapping[str, Any], known: Mapping[Endpoint, Registered]) -> str:
    found = registered(task, known)
    return found.id if found else str(task["id"])
