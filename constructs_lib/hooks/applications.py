"""The contracts' applications: what would change, from one reading of Marathon, and the way to change it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.errors import HookError
from constructs_lib.hooks.acting import cut_short
from constructs_lib.hooks.body_diff import differences
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.explain import Explanation
from constructs_lib.hooks.hook import NOT_PRUNED, Change, Verdict
from constructs_lib.hooks.marathon import Marathon
from constructs_lib.hooks.ours import by_contract, happy
from constructs_lib.hooks.steps import End
from constructs_lib.hooks.stuck import Ended
from constructs_lib.hooks.wanted import Number, within

Say = Callable[[str], None]
Deploy = Callable[[CompiledContract, Deadline, Say], End]
"""Brings a contract's version up by its strategy, and says how that ended."""
Pending = Callable[[CompiledContract], Sequence[str]]
"""What is to do for a contract whose version and number are right: its route, an unfinished deployment."""
Numbered = Callable[[CompiledContract, Mapping[str, int]], Number]
"""How many instances it gets where Marathon was told to run so many of each version."""
Refused = Callable[[CompiledContract], str | None]
"""Why the contract's version is not deployed again by itself; None where it would be."""
Empty = Callable[[str, Deadline, Say], int]
"""Has every edge finish what it sent to a contract's apps; how many connections are cut as they go."""
Forget = Callable[[str, Deadline, Say], None]
"""Takes a contract's route away from every edge, and all that Consul keeps of it."""
Recorded = Callable[[], Iterable[str]]
"""Names of contracts of which Consul keeps anything: a route, how its deployments went, versions."""
Seen = Callable[[CompiledContract, Mapping[str, Any], Verdict], Verdict]
"""What Consul and the edges make of Marathon's word on an app that is as its contract says."""
RECORD = "record"
"""The kind of a change to that where no app is left: somebody deleted it, or a run ended in between."""
Versions = Mapping[str, Mapping[str, Any]]


class Applications:
    """What the pipeline asks; Marathon is read once, when it is first needed."""

    def __init__(
        self,
        marathon: Marathon,
        compiled: Compiled,
        deploy: Deploy,
        *,
        pending: Pending = lambda _contract: (),
        number: Numbered = within,
        refused: Refused = lambda _contract: None,
        empty: Empty = lambda _name, _deadline, _say: 0,
        forget: Forget = lambda _name, _deadline, _say: None,
        recorded: Recorded = tuple,
        seen: Seen = lambda _contract, _app, verdict: verdict,
        prune: bool = False,
    ) -> None:
        self._marathon = marathon
        self._compiled = compiled
        self._deploy = deploy
        self._pending = pending
        self._number = number
        self._refused = refused
        self._empty = empty
        self._forget = forget
        self._recorded = recorded
        self._seen = seen
        self._prune = prune
        self._there: dict[str, dict[str, Mapping[str, Any]]] | None = None

    @property
    def there(self) -> Mapping[str, Versions]:
        """Contract → version → app, as Marathon had it at the beginning."""
        if self._there is None:
            self._there = by_contract(self._marathon.apps(), self._compiled.cluster)
        return self._there

    def changes(self, contract: CompiledContract) -> Sequence[Change]:
        """At most one: the deployment of the wanted version, or another number of instances."""
        versions = self.there.get(contract.name, {})
        number = self._number(contract, {name: _asked(app) for name, app in versions.items()})
        found = _change(contract, versions, number)
        if found is not None and (why := self._refused(contract)):
            return (_left_alone(contract, why),)
        if found is None and (pending := (*self._pending(contract), *_adopted(number))):
            name = contract.name
            found = Change(kind="app", name=name, action="update", contract=name, details=pending)
        return (found,) if found else ()

    def left_over(self) -> Sequence[Change]:
        """Apps that no contract names any longer, and what Consul keeps of contracts that have none."""
        names = {contract.name for contract in self._compiled.contracts}
        return tuple(self._orphans(names))

    def _orphans(self, names: set[str]) -> Iterator[Change]:
        for name, versions in sorted(self.there.items()):
            if name not in names:
                for app in versions.values():
                    yield self._gone("app", str(app["id"]))
        for name in sorted(set(self._recorded()) - names - self.there.keys()):
            yield self._gone(RECORD, name)

    def _gone(self, kind: str, name: str) -> Change:
        if self._prune:
            return Change(kind=kind, name=name, action="delete")
        return Change(kind=kind, name=name, action="keep", details=(NOT_PRUNED,))

    def deploy(self, contract: CompiledContract, deadline: Deadline, say: Say) -> Verdict:
        """Deploy what differs or does not run; what runs is held against what Consul and the edges see.

        What Marathon calls healthy and gets no requests is told and left alone: there is nothing to deploy.
        """
        if not self.changes(contract):
            app = self.there[contract.name][contract.app.version]
            found = as_it_is(contract, app)
            if found.good:
                return self._seen(contract, app, found)
        end = self._deploy(contract, deadline, say)
        if isinstance(end, Ended):
            return stuck_at(contract, end.why, end.found)
        helps = None if end.good else f"clustermesos explain {contract.name}"
        return Verdict(kind="app", name=contract.name, good=end.good, says=end.why, try_next=helps)

    def verdict(self, contract: CompiledContract) -> Verdict:
        """How it is, by what was read; what differs from the contract is not good."""
        if not (changes := self.changes(contract)):
            app = self.there[contract.name][contract.app.version]
            return self._seen(contract, app, as_it_is(contract, app))
        says = "; ".join(detail for change in changes for detail in change.details[:2])
        if changes[0].action == "keep":
            helps = "another version in the contract, or clustermesos apply --retry"
            says = "; ".join((says, *_instead(contract, self.there.get(contract.name, {}))))
            return Verdict(kind="app", name=contract.name, good=False, says=says, try_next=helps)
        what = "not deployed yet" if changes[0].action == "create" else "differs"
        helps = "clustermesos apply"
        return Verdict(kind="app", name=contract.name, good=False, says=f"{what}: {says}", try_next=helps)

    def serves(self, contract: CompiledContract) -> bool:
        """Whether by now enough instances serve, of whatever version, for what depends on it."""
        apps = self._marathon.below(f"/{contract.name}")
        versions = by_contract(apps, contract.cluster).get(contract.name, {})
        serving = [app for app in versions.values() if happy(app)]
        if sum(map(happy, serving)) < contract.instances.min:
            return False
        fine = Verdict(kind="app", name=contract.name, good=True, says="")
        return all(self._seen(contract, app, fine).good for app in serving)

    def prune(self, change: Change, say: Say) -> None:
        """Delete an app that is ours, or what Consul keeps.

        HookError for any other app, and where an edge does not confirm that it has finished with ours.
        """
        if change.kind == RECORD:
            self._forget(change.name, self._marathon.client.deadline, say)
            say(f"{change.name}: its route, if any, and its record deleted from Consul")
            return
        ours = {str(app["id"]): name for name, versions in self.there.items() for app in versions.values()}
        if change.name not in ours:
            raise HookError(f"app {change.name}: does not carry this cluster's label, so it is not deleted")
        name, deadline = ours[change.name], self._marathon.client.deadline
        cut = self._empty(name, deadline, say)
        self._forget(name, deadline, say)
        self._marathon.delete(change.name, force=True)
        say(f"app {change.name}: deleted{cut_short(cut)}")


def _asked(app: Mapping[str, Any]) -> int:
    return int(app.get("instances") or 0)


def _adopted(number: Number) -> tuple[str, ...]:
    return (f"instances: {number.count}, {number.why}",) if number.adopted else ()


def _change(contract: CompiledContract, versions: Versions, number: Number) -> Change | None:
    wanted = versions.get(contract.app.version)
    others = {name: app for name, app in versions.items() if name != contract.app.version}
    running = {name: app for name, app in others.items() if _asked(app) > 0}
    if wanted is None:
        return _new_version(contract, running or others, number)
    asked, bounds = _asked(wanted), contract.instances
    details = [] if bounds.min <= asked <= bounds.max else list(_resized(asked, number))
    details += [f"version {name} still has {app['instances']} instances" for name, app in running.items()]
    if not details:
        return None
    return Change(
        kind="app", name=contract.name, action="update", contract=contract.name, details=tuple(details)
    )


def _left_alone(contract: CompiledContract, why: str) -> Change:
    details = (f"version {contract.app.version} is not deployed again by itself: {why}",)
    return Change(kind="app", name=contract.name, action="keep", contract=contract.name, details=details)


def _resized(asked: int, number: Number) -> Iterator[str]:
    if asked != number.count:
        yield f"instances: {asked} → {number.count}" + (f", {number.why}" if number.why else "")


def _new_version(contract: CompiledContract, others: Versions, number: Number) -> Change:
    version, strategy = contract.app.version, contract.deployment.strategy
    if not others:
        shown = f"version {version}, {number.count} instance{'' if number.count == 1 else 's'}"
        return Change(
            kind="app", name=contract.name, action="create", contract=contract.name, details=(shown,)
        )
    former, app = max(others.items(), key=lambda one: str(one[1].get("version", "")))
    return Change(
        kind="app",
        name=contract.name,
        action="update",
        contract=contract.name,
        details=(
            f"version {former} → {version}, {strategy}",
            *_resized(sum(map(_asked, others.values())), number),
            *differences(app, contract.app.body),
        ),
    )


def _instead(contract: CompiledContract, versions: Versions) -> Iterator[str]:
    """What serves in place of a version that is left alone: that is what visitors get."""
    for version, app in sorted(versions.items()):
        if version != contract.app.version and (asked := int(app.get("instances", 0))):
            yield f"{happy(app)} of {asked} instances of version {version} serve"


def stuck_at(contract: CompiledContract, why: str, found: Explanation | None) -> Verdict:
    """Of a deployment that did not succeed, with what was found of its reason."""
    told = found.telling if found is not None else None
    return Verdict(
        kind="app",
        name=contract.name,
        good=False,
        says=f"{why}; {told}" if told and told not in why else why,
        try_next=(found and found.try_next) or f"clustermesos explain {contract.name}",
        explanation=found,
    )


def as_it_is(contract: CompiledContract, app: Mapping[str, Any]) -> Verdict:
    """How an app that has the contract's version is, by Marathon's word alone."""
    asked, serving = int(app.get("instances", 0)), happy(app)
    good = serving >= min(asked, contract.instances.min)
    return Verdict(
        kind="app",
        name=contract.name,
        good=good,
        says=f"version {contract.app.version}, {serving} of {asked} instances serve",
        try_next=None if good else f"clustermesos explain {contract.name}",
    )
