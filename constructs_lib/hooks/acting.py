"""Doing what a step says: each action may be done again after a crash, with the same end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.documents import ConflictError, Documents, RouteDocument
from constructs_lib.hooks.marathon import Marathon
from constructs_lib.hooks.steps import Action, Create, Delete, Kill, Scale, SetRoute, Step
from constructs_lib.hooks.watching import Picture

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Acting:
    """What one contract's steps are done with.

    Locks of versions' apps are forced: nobody but a step of this contract changes them, and a deployment of
    an app that crashes never ends by itself.
    """

    contract: CompiledContract
    marathon: Marathon
    documents: Documents
    killed: set[str]
    """Where ids of killed tasks go."""
    say: Say

    def do(self, step: Step, picture: Picture) -> None:
        """Store the progress, then act; ConflictError where somebody else did something in between."""
        if step.progress != picture.kept.progress:
            name, index = self.contract.name, picture.kept.progress_index
            self.documents.store_progress(name, step.progress, index)
            turned = step.progress.turned
            if turned and turned != picture.kept.progress.turned:
                self.say(f"{name}: version {step.progress.version} goes back: {turned}")
        for action in step.actions:
            self._act(action, picture)

    def _act(self, action: Action, picture: Picture) -> None:
        match action:
            case Create(version=version, instances=count):
                self.marathon.put(self._app(version), {**self.contract.app.body, "instances": count})
                self.say(f"{self._app(version)}: started with {count}")
            case Scale(version=version, instances=count):
                self._scale(self._app(version), count)
                self.say(f"{self._app(version)}: {count} instances{cut_short(action.cut)}")
            case SetRoute():
                self._route(action, picture)
            case Kill():
                self._kill(action, picture)
            case Delete(version=version):
                self.marathon.delete(self._app(version), force=True)
                self.say(f"{self._app(version)}: deleted")

    def _scale(self, id: str, count: int) -> None:
        try:
            self.marathon.scale(id, count, force=True)
        except ApiError as error:
            # Of an app that went since the look, whose deletion was under way, the number alone is left.
            if error.kind != "invalid" or self.marathon.app(id) is not None:
                raise
            raise ConflictError(f"{id} was deleted in between") from None

    def _route(self, action: SetRoute, picture: Picture) -> None:
        document = routed(self.contract, picture)
        drain = sorted(picture.services.get(task, task) for task in action.drain)
        document = replace(document, weights=dict(action.weights), drain=tuple(drain))
        self.documents.store_route(document, picture.kept.route_index)
        shares = ", ".join(f"{version} {weight}" for version, weight in sorted(action.weights.items()))
        taken = f", {len(drain)} taken out" if drain else ""
        self.say(f"route of {self.contract.name}, generation {document.generation}: {shares}{taken}")

    def _kill(self, action: Kill, picture: Picture) -> None:
        # What was confirmed is the route as it was seen; another one may have put a task back.
        if self.contract.route:
            now = self.documents.of(self.contract.name)
            if (now.route, now.progress.paused) != (picture.kept.route, False):
                raise ConflictError(f"{self.contract.name}: its route changed before tasks were killed")
        self.marathon.kill(action.tasks, scale=True, force=True)
        self.killed.update(action.tasks)
        self.say(f"{self._app(action.version)}: {len(action.tasks)} ended{cut_short(action.cut)}")

    def _app(self, version: str) -> str:
        return f"/{self.contract.name}/{version}"


def cut_short(connections: int) -> str:
    """What is said of connections that `drain_timeout` did not wait for; nothing where there are none."""
    return f"; {connections} connections cut, they did not end in time" if connections else ""


def routed(contract: CompiledContract, picture: Picture) -> RouteDocument:
    """The contract's next route, still with what the present one has."""
    if contract.route is None:
        raise ValueError(f"{contract.name} has no route")
    before = picture.kept.route
    return RouteDocument(
        contract=contract.name,
        service=contract.route.service,
        host=contract.route.host,
        path=contract.route.path,
        generation=(before.generation if before else 0) + 1,
        weights=before.weights if before else {},
        drain=before.drain if before else (),
        drain_timeout=contract.deployment.drain_timeout,
        on_drain_timeout=contract.deployment.on_drain_timeout,
    )
