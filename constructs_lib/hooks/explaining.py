"""Reads what an explanation needs: a fixed number of requests, whatever the number of applications.

Three go to Marathon and Mesos; what Consul, the edges and Prometheus know of the one contract is asked once,
and an explanation goes without it where they do not answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.hooks.analysis import Analysts
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.deploying import time_of
from constructs_lib.hooks.documents import Documents
from constructs_lib.hooks.edge import PlannedEdges
from constructs_lib.hooks.explain import Explanation, Seen, explain, held_up
from constructs_lib.hooks.ours import by_contract, happy
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.restoring import contract_of
from constructs_lib.hooks.standing import Standing, at_once, edge_troubles, given_up, standing
from constructs_lib.hooks.watching import Picture, Watch

_ASK_SECONDS = 15.0
"""What Consul may take: without it there is still something to tell."""
App = Mapping[str, Any]
Apps = Mapping[str, Mapping[str, App]]


def explain_contract(platform: Platform, compiled: Compiled, name: str) -> Explanation:
    """Why the application of a contract is as it is; UnknownNameError for one that there is not."""
    contract = contract_of(compiled, name)
    apps = by_contract(platform.marathon.apps(), compiled.cluster)
    picture, unasked = _looked(platform, contract)
    stands = standing(contract, picture) if picture else None
    blocked_by = blockers(contract, compiled, apps)
    reading = _Reading(
        contract=contract,
        queue={(one.get("app") or {}).get("id"): one for one in platform.marathon.queue()},
        agents=platform.mesos.agents(),
        home=platform.home,
        picture=picture,
        stands=stands,
        blocked_by=blocked_by,
        notes=(*(given_up(contract, picture) if picture else ()), *unasked),
    )
    found = list(reading.explanations(apps.get(name, {})))
    return replace(found[0], others=tuple(found[1:]))


def _looked(platform: Platform, contract: CompiledContract) -> tuple[Picture | None, tuple[str, ...]]:
    """What Consul and the edges know of a contract; and what to say where they do not answer."""
    consuls = platform.consuls_within(_ASK_SECONDS)
    if not consuls:
        return None, ()
    now = time_of(platform)
    watch = Watch(
        contract=at_once(contract),
        marathon=platform.marathon,
        sites=consuls,
        documents=Documents(consuls, platform.home),
        edges=PlannedEdges(platform.endpoints, consuls, platform.deadline),
        now=now,
    )
    try:
        picture = watch.look()
    except ApiError as error:
        return None, (f"how its deployment stands, and who gets requests, is not known: {error}",)
    progress = picture.kept.progress
    if progress.canary_since is not None and not progress.done and platform.prometheuses:
        judged = Analysts(platform.prometheuses).judge(contract, progress, now())
        picture = replace(picture, observed=replace(picture.observed, judgement=judged))
    return picture, ()


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """Everything that was read of one contract."""

    contract: CompiledContract
    queue: Mapping[Any, App]
    agents: Sequence[App]
    home: str
    picture: Picture | None
    stands: Standing | None
    blocked_by: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def explanations(self, versions: Mapping[str, App]) -> Iterator[Explanation]:
        """Of the contract's version, and of each other one that runs; what visitors lack comes first."""
        mine = self._of_wanted(versions)
        others = [
            explain(self._seen(app))
            for version, app in sorted(versions.items())
            if version != self.contract.app.version and (app.get("instances") or app.get("tasks"))
        ]
        # What was given up long ago is no news where the version that serves is in trouble.
        over = self.picture is None or self.picture.kept.progress.done
        bad = [one for one in others if over and not one.good]
        yield from (*bad, mine, *(one for one in others if one not in bad))

    def _of_wanted(self, versions: Mapping[str, App]) -> Explanation:
        app = versions.get(self.contract.app.version)
        if app is None:
            return self._not_there(bool(versions))
        seen = replace(
            self._seen(app),
            least=0 if self.stands else self.contract.instances.min,
            blocked_by=self.blocked_by,
            edges=tuple(edge_troubles(self.contract, self.picture)) if self.picture else (),
            notes=self.notes,
        )
        found = explain(seen)
        return held_up(found, self.stands, seen) if self.stands else found

    def _seen(self, app: App) -> Seen:
        return Seen(
            contract=self.contract.name,
            app=app,
            queue=self.queue.get(app.get("id")),
            agents=self.agents,
            home=self.home,
            wanted=int(app.get("instances", 0)),
            lacks=self.picture.lacks if self.picture else {},
        )

    def _not_there(self, others: bool) -> Explanation:
        stands = self.stands
        why, try_next = "no version of it was ever deployed, or somebody deleted it", "clustermesos apply"
        if others:
            why = f"version {self.contract.app.version} of the contract is not deployed yet"
        if stands is not None:
            why, try_next = stands.says, stands.try_next
        if self.blocked_by and not (stands and stands.failed):
            chain = " → ".join(name for name, _ in self.blocked_by)
            name, trouble = self.blocked_by[-1]
            why, try_next = f"{why}; waits for {chain}: {trouble}", f"clustermesos explain {name}"
        return Explanation(
            contract=self.contract.name,
            app=self.contract.app.id,
            good=False,
            why=why,
            facts=self.notes,
            agents=(),
            try_next=try_next,
        )


def blockers(contract: CompiledContract, compiled: Compiled, apps: Apps) -> tuple[tuple[str, str], ...]:
    """The chain to the first contract that is itself the cause, each with what is wrong with it."""
    for name in contract.depends_on:
        needed = compiled.contract(name)
        if needed is not None and (trouble := _trouble(needed, apps)):
            return ((name, trouble), *blockers(needed, compiled, apps))
    return ()


def _trouble(contract: CompiledContract, apps: Apps) -> str | None:
    versions = apps.get(contract.name, {})
    if not versions:
        return "no version of it was ever deployed"
    serving = sum(happy(app) for app in versions.values())
    if serving >= contract.instances.min:
        return None
    return f"{serving} of {contract.instances.min} instances serve"
