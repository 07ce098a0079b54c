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
from constructs_lib.hooks.apart import restore_of
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.documents import Documents
from constructs_lib.hooks.edge import PlannedEdges
from constructs_lib.hooks.explain import Explanation, Seen, explain, held_up, unplaceable
from constructs_lib.hooks.hopeless import emptied, hopeless
from constructs_lib.hooks.marathon import Marathon
from constructs_lib.hooks.ours import by_contract, happy
from constructs_lib.hooks.platform import Platform, time_of
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
    reading = _Reading(
        contract=contract,
        versions=apps.get(name, {}),
        queue=_queue(platform.marathon),
        agents=platform.mesos.agents(),
        home=platform.home,
        picture=picture,
        stands=standing(contract, picture) if picture else None,
        blocked_by=blockers(contract, compiled, apps),
        notes=(*(given_up(contract, picture) if picture else ()), *unasked),
    )
    found = list(reading.explanations())
    return replace(_held(platform, found[0]), others=tuple(found[1:]))


def _held(platform: Platform, found: Explanation) -> Explanation:
    """With the restore that keeps others from starting it, if there is one and Consul says so."""
    home = platform.consuls_within(_ASK_SECONDS).get(platform.home)
    try:
        restore = restore_of(home, found.contract) if home is not None else None
    except ApiError:
        # Of which the notes tell.
        return found
    if restore is None:
        return found
    if restore.runs and found.good:
        return replace(found, facts=(*found.facts, f"restore: {restore.what}"))
    return replace(found, good=False, why=f"{restore.what}; {found.why}", try_next=restore.error.try_next)


@dataclass(frozen=True, kw_only=True)
class Explainers:
    """The same of a deployment that is under way, from the look that it has just made: by three requests."""

    platform: Platform
    compiled: Compiled

    def explain(
        self, contract: CompiledContract, picture: Picture, stands: Standing | None
    ) -> Explanation | None:
        """As `stuck.Explainer` has it."""
        marathon, mesos = self.platform.witnesses(_ASK_SECONDS)
        try:
            found = _apps_around(marathon, contract)
            queue, agents = _queue(marathon), mesos.agents()
        except ApiError:
            return None
        apps = by_contract(found, self.compiled.cluster)
        reading = _Reading(
            contract=contract,
            versions=apps.get(contract.name, {}),
            queue=queue,
            agents=agents,
            home=self.platform.home,
            picture=picture,
            stands=stands,
            blocked_by=blockers(contract, self.compiled, apps),
            under_way=True,
        )
        return reading.of_deployment()


def _apps_around(marathon: Marathon, contract: CompiledContract) -> Sequence[App]:
    """Its own, and everybody's where it needs some: a thousand that it does not need are not read."""
    return marathon.apps() if contract.depends_on else marathon.below(f"/{contract.name}")


def _queue(marathon: Marathon) -> dict[Any, App]:
    return {(one.get("app") or {}).get("id"): one for one in marathon.queue()}


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
    versions: Mapping[str, App]
    queue: Mapping[Any, App]
    agents: Sequence[App]
    home: str
    picture: Picture | None
    stands: Standing | None
    blocked_by: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    under_way: bool = False
    """Whether its deployment goes on: how many instances it asks for by now is its own affair."""

    def explanations(self) -> Iterator[Explanation]:
        """Of the contract's version, and of each other one that runs; what visitors lack comes first."""
        mine, others = self._of_wanted(), self._of_others()
        # What was given up long ago is no news where the version that serves is in trouble.
        over = self.picture is None or self.picture.kept.progress.done
        bad = [one for one in others if over and not one.good]
        yield from (*bad, mine, *(one for one in others if one not in bad))

    def of_deployment(self) -> Explanation:
        """Of the version that is deployed, whatever the others are like."""
        return replace(self._of_wanted(), others=tuple(self._of_others()))

    def _of_others(self) -> list[Explanation]:
        return [
            explain(self._seen(app))
            for version, app in sorted(self.versions.items())
            if version != self.contract.app.version and (app.get("instances") or app.get("tasks"))
        ]

    def _of_wanted(self) -> Explanation:
        app = self.versions.get(self.contract.app.version)
        if app is None:
            return self._unplaceable(self._not_there(bool(self.versions)))
        seen = replace(
            self._seen(app),
            least=0 if self.stands or self.under_way else self.contract.instances.min,
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

    def _unplaceable(self, found: Explanation) -> Explanation:
        body = self.contract.app.body
        reason = hopeless(body, self.agents, self.home)
        if reason is None or self.blocked_by:
            return found
        seen = replace(self._seen(body), agents=emptied(self.agents), queue=None)
        return unplaceable(found, seen, reason)

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
