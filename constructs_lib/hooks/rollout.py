"""A deployment's loop: look, ask the strategy, do it, until it ended or somebody has to say something."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.hooks import strategies
from constructs_lib.hooks.acting import Acting, Say, routed
from constructs_lib.hooks.apart import Deployments, Still
from constructs_lib.hooks.api_error import NO_TIME, ApiError
from constructs_lib.hooks.beginning import Beginning, Placing
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.documents import ConflictError, Documents, Kept, LocalStore
from constructs_lib.hooks.edge import Edges
from constructs_lib.hooks.emptying import Emptying
from constructs_lib.hooks.marathon import Marathon
from constructs_lib.hooks.observed import Judgement, Progress
from constructs_lib.hooks.progress import forgiven
from constructs_lib.hooks.steps import End, Step
from constructs_lib.hooks.stuck import Explainer, LateError, Stuck
from constructs_lib.hooks.versions import remember
from constructs_lib.hooks.wanted import Number, number, running, wanted, within
from constructs_lib.hooks.watching import Picture, Watch
from constructs_lib.hooks.words import Words

PAUSE = 1.0
"""Seconds between two looks."""
_ROUTE_GONE_SECONDS = 60.0
_LOST = ("unreachable", "unreadable")


class Analyst(Protocol):
    """Judges canaries."""

    def judge(self, contract: CompiledContract, progress: Progress, now: float) -> Judgement:
        """What the measurements say of the contract's newest version."""


@dataclass(kw_only=True)
class Rollout:
    """Brings contracts' versions up; without any Consul nothing is kept and nothing is routed."""

    marathon: Marathon
    sites: Mapping[str, Consul]
    home: str
    edges: Edges
    analyst: Analyst | None = None
    placing: Placing | None = None
    """None asks nobody: what has no agent is begun, and turns round at its deadline."""
    explainer: Explainer | None = None
    """None asks nobody why a deployment makes no progress."""
    forgive: bool = False
    """Try versions again that turned round before."""
    apart: Deployments = field(default_factory=Deployments)
    """Keeps restores away while it deploys, and deploys nothing that is being restored."""
    pause: float = PAUSE
    now: Callable[[], float] = time.time
    documents: Documents = field(init=False)
    store: Consul | LocalStore = field(init=False)
    """The home site's: where versions that were good are kept."""
    _beginning: Beginning = field(init=False)
    _kept: Mapping[str, Kept] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        stores: Mapping[str, Consul | LocalStore] = self.sites or {self.home: LocalStore()}
        self.documents = Documents(stores, self.home)
        self.store = stores[self.home]
        self._beginning = Beginning(placing=self.placing, explainer=self.explainer, forgive=self.forgive)

    def pending(self, contract: CompiledContract) -> tuple[str, ...]:
        """What has to be done although version and number are right: one request, for all contracts."""
        kept = self._read().get(contract.name, Kept())
        found = []
        if not kept.progress.done:
            found.append(f"deployment of {kept.progress.version} is not finished")
        if contract.route and self.sites:
            where = f"{contract.route.host}{contract.route.path}"
            if kept.route is None:
                found.append(f"route {where}")
            elif not kept.route.leads_to(contract.route):
                found.append(f"route {kept.route.host}{kept.route.path} → {where}")
            elif contract.instances.min and not any(kept.route.weights.values()):
                # Emptied by a restore, or a run with --prune, that ended before its end.
                found.append(f"route {where} sends nobody anything")
        return (*found, *(f"route is missing in {site}" for site in kept.behind))

    def number(self, contract: CompiledContract, asked: Mapping[str, int]) -> Number:
        """How many instances it gets where Marathon was asked for so many of each version; same request."""
        if not self.sites:
            return within(contract, asked)
        return number(contract, self._read().get(contract.name, Kept()), asked)

    def refused(self, contract: CompiledContract) -> str | None:
        """Why the contract's version is not tried again, by the same request; None where it would be."""
        if self.forgive:
            return None
        return self._read().get(contract.name, Kept()).progress.refused.get(contract.app.version)

    def deploy(self, contract: CompiledContract, deadline: Deadline, say: Say) -> End:
        """Until the contract is kept, turned round, or waits for somebody; HookError where an API failed.

        BeingRestoredError where its data is being restored, or was left half restored.
        """
        try:
            with self.apart.of(contract.name) as still:
                return self._loop(contract, deadline, say, still)
        finally:
            self._kept = None

    def _loop(self, contract: CompiledContract, deadline: Deadline, say: Say, still: Still) -> End:
        asked = contract
        if not self.sites:
            contract = replace(contract, route=None, service=None)
        watch = Watch(
            contract=contract,
            marathon=self.marathon,
            sites=self.sites,
            documents=self.documents,
            edges=self.edges,
            now=self.now,
        )
        acting = Acting(
            contract=contract, marathon=self.marathon, documents=self.documents, killed=watch.killed, say=say
        )
        words = Words(say, deadline)
        stuck = Stuck(contract=contract, explainer=self.explainer, say=say)
        while True:
            try:
                still()
                picture = watch.look()
                if refusal := self._beginning.refusal(contract, picture, deadline, say):
                    return refusal
                picture = self._prepared(picture, contract)
                there = picture.observed.versions
                step = strategies.step(wanted(contract, picture.kept, there), picture.observed)
                stuck.look(step, picture)
                if step.end is not None and step.end.good and step.progress.settled == asked.app.version:
                    # Before it is called done: a run that finds it done does not look again.
                    remember(self.store, asked)
                acting.do(step, picture)
            except ConflictError as conflict:
                words.tell(f"{contract.name}: looks again, {conflict}")
            except ApiError as error:
                # An answer that was lost: whether it was done is what the next look shows.
                if error.said == NO_TIME:
                    raise _late(contract, words, stuck) from None
                if error.kind not in _LOST or deadline.over:
                    raise
                words.tell(f"{contract.name}: looks again, {error}")
            else:
                if end := _ended(contract, step, picture, words, stuck):
                    return end
            if deadline.over:
                raise _late(contract, words, stuck)
            deadline.sleep(self.pause)

    def _prepared(self, picture: Picture, contract: CompiledContract) -> Picture:
        """With copies and the place of the route made right, and with what the analysis says."""
        kept = picture.kept
        if contract.instances.scaling and kept.count is None:
            kept = self._counted(contract, kept, picture)
        if kept.route and kept.behind:
            self.documents.copy_route(kept.route, kept.behind)
        if kept.route and contract.route and not kept.route.leads_to(contract.route):
            self.documents.store_route(routed(contract, picture), kept.route_index)
            raise ConflictError(f"its route moves to {contract.route.host}{contract.route.path}")
        observed = picture.observed
        if self.forgive and contract.app.version in observed.progress.refused:
            tried_again = forgiven(observed.progress, contract.app.version)
            observed = replace(observed, progress=tried_again)
        if self.analyst is not None and _watched(contract, observed.progress):
            judged = self.analyst.judge(contract, observed.progress, observed.now)
            observed = replace(observed, judgement=judged)
        new = observed.versions.get(contract.app.version)
        if self.placing is not None and new is not None and len(new.instances) < new.asked:
            observed = replace(observed, hopeless=self.placing.hopeless(contract.app.body))
        return replace(picture, observed=observed, kept=kept)

    def _counted(self, contract: CompiledContract, kept: Kept, picture: Picture) -> Kept:
        """With the number that it begins with, which is kept: later looks see a deployment in its middle."""
        asked = {name: version.asked for name, version in picture.observed.versions.items()}
        found = number(contract, kept, asked)
        if asked and self.sites and not found.adopted:
            return kept
        # Without a Consul nothing is kept from run to run, and so nothing was lost.
        count = found.count if found.adopted or not asked else running(kept, asked)
        self.documents.store_count(contract.name, count)
        return replace(kept, count=count)

    @property
    def emptying(self) -> Emptying:
        """What takes a whole application out of its route, before it is ended otherwise than by `deploy`."""
        return Emptying(documents=self.documents, edges=self.edges, pause=self.pause)

    def empty(self, name: str, deadline: Deadline, say: Say) -> int:
        """Before a contract that is gone loses its apps; how many connections that cuts.

        HookError where an edge may still send them something, or somebody restores its data.
        """
        self.apart.refuse(name, left=False)
        return self.emptying.empty(name, deadline, say, for_good=True)

    def forget(self, name: str, deadline: Deadline, say: Say) -> None:
        """Take the route of a contract that is gone away from every edge, and what is kept of it."""
        self.documents.forget_route(name)
        bounded = deadline.within(_ROUTE_GONE_SECONDS)
        while any(report.routes is None or name in report.routes for report in self.edges.look()):
            if bounded.over:
                say(f"{name}: not every edge dropped its route in {_ROUTE_GONE_SECONDS:g} s; going on")
                break
            bounded.sleep(self.pause)
        self.documents.forget(name)
        self.apart.forget(name)
        self._kept = None

    def recorded(self) -> tuple[str, ...]:
        """Of which contracts Consul keeps anything, by the same request."""
        return tuple(self._read())

    def _read(self) -> Mapping[str, Kept]:
        if self._kept is None:
            self._kept = self.documents.all()
        return self._kept


def _ended(
    contract: CompiledContract, step: Step, picture: Picture, words: Words, stuck: Stuck
) -> End | None:
    """How a step that was done ends the deployment; what is waited for where it goes on is told."""
    if step.end is not None:
        return stuck.ended(step.end)
    if step.wait is None:
        return None
    why = "".join(f"; {edge}: {problem}" for edge, problem in picture.problems.items())
    words.tell(f"{contract.name}: waits for {step.wait.what}{why}{stuck.waiting(step, picture)}")
    if not step.wait.person:
        return None
    return End(good=True, why=f"waits for {step.wait.what}{_helps(contract, picture)}")


def _watched(contract: CompiledContract, progress: Progress) -> bool:
    """Whether anything depends on the analysis: a Prometheus that hangs must not hold up the way back."""
    return (
        contract.deployment.strategy == "canary"
        and progress.version == contract.app.version
        and not (progress.done or progress.promoted or progress.turned)
    )


def _late(contract: CompiledContract, words: Words, stuck: Stuck) -> LateError:
    where = words.last or "in the middle"
    text = f"{contract.name}: not done in time, stopped where it is ({where}); clustermesos apply goes on"
    return LateError(f"{text} from there", stuck.late())


def _helps(contract: CompiledContract, picture: Picture) -> str:
    word = "resume" if picture.observed.progress.paused else "promote"
    return f"; next: clustermesos {word} {contract.name}"
