"""Taking an application out of its route as a whole, before all of its instances are ended.

Its document stays meanwhile, with nobody in it. Were it deleted at once, no edge could say any longer who
still finishes a request of it: edges tell of older workers by the routes that they have, in every version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from constructs_lib.contracts.compiled import Deployment
from constructs_lib.errors import HookError
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.documents import ConflictError, Documents, RouteDocument
from constructs_lib.hooks.edge import EdgeReport, Edges
from constructs_lib.hooks.moving import confirmed, has_newest
from constructs_lib.hooks.observed import Observed, Progress, RouteState, Wanted
from constructs_lib.hooks.watching import edge_of
from constructs_lib.hooks.words import Words

Say = Callable[[str], None]
NOWHERE: Final = "gone.invalid"
"""Below it nobody asks for anything (RFC 2606)."""
_TRIES = 5


@dataclass(frozen=True, kw_only=True)
class Emptying:
    """Empties routes, and fills them again."""

    documents: Documents
    edges: Edges
    pause: float = 1.0

    def empty(
        self,
        name: str,
        deadline: Deadline,
        say: Say,
        *,
        deployment: Deployment | None = None,
        for_good: bool = False,
    ) -> int:
        """Until every edge sends nobody there and has finished; how many connections ending it cuts.

        `deployment` is the contract's; of one that is gone, the route has what matters. `for_good` gives its
        place away too, which another contract may have by now: an edge refuses two routes with the same one.
        HookError where an edge has not taken it over by the progress deadline, or the time is over: then
        nothing is to be ended.
        """
        words, now = Words(say, deadline), deadline.clock.now
        generation, since = 0, now()
        while (route := self._emptied(name, for_good)) is not None:
            if route.generation != generation:
                generation, since = route.generation, now()
                say(f"route of {name}, generation {generation}: sends nobody anything any longer")
            reports = [report for report in self.edges.look() if not _never_had(name, report)]
            how = deployment or _as_written(route)
            seen = Observed(
                now=now(),
                edges=tuple(edge_of(report, name) for report in reports),
                route=RouteState(generation=generation),
                progress=Progress(drained_at=since),
            )
            ready, cut, missing = confirmed(Wanted(version="", count=0, deployment=how), seen)
            if ready:
                return cut
            words.tell(f"{name}: waits for {missing}{_problems(name, reports)}")
            behind = not all(has_newest(edge, seen) for edge in seen.edges)
            if deadline.over or (behind and now() - since >= how.progress_deadline):
                raise _unconfirmed(words.last, now() - since)
            deadline.sleep(self.pause)
        return 0

    def _emptied(self, name: str, for_good: bool) -> RouteDocument | None:
        """The route as it is kept once nobody is in it; None where there is none."""
        for _ in range(_TRIES):
            kept = self.documents.of(name)
            if kept.route is None:
                return None
            host = f"{name}.{NOWHERE}" if for_good else kept.route.host
            empty = replace(kept.route, weights={}, drain=(), host=host)
            if empty == kept.route:
                self.documents.copy_route(empty, kept.behind)
                return empty
            empty = replace(empty, generation=empty.generation + 1)
            try:
                self.documents.store_route(empty, kept.route_index)
            except ConflictError:
                continue
            return empty
        raise HookError(f"{name}: its route is changed all the time by somebody else; try again")

    def refill(self, before: RouteDocument) -> bool:
        """The route as it was before it was emptied; False where somebody else has written it since."""
        kept = self.documents.of(before.contract)
        if kept.route is None or kept.route.weights:
            return False
        try:
            route = replace(before, generation=kept.route.generation + 1)
            self.documents.store_route(route, kept.route_index)
        except ConflictError:
            return False
        return True


def _never_had(name: str, report: EdgeReport) -> bool:
    """Whether an edge refuses the route and has no former one: it never sent anybody there."""
    return report.routes is not None and name in report.problems and name not in report.routes


def _as_written(route: RouteDocument) -> Deployment:
    return Deployment(
        strategy="recreate", drain_timeout=route.drain_timeout, on_drain_timeout=route.on_drain_timeout
    )


def _problems(name: str, reports: Sequence[EdgeReport]) -> str:
    found = ((report.name, report.problems.get(name)) for report in reports)
    return "".join(f"; {edge}: {problem}" for edge, problem in found if problem)


def _unconfirmed(waits: str, seconds: float) -> HookError:
    return HookError(
        f"{waits}: not in {seconds:.0f} s, so none of its instances was ended; next: clustermesos status, "
        "then the same command again, which goes on from there"
    )
