"""Why an application is not as its contract says: the first cause, the arithmetic, and what to try next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from constructs_lib.hooks.ours import happy
from constructs_lib.hooks.placement import AgentVerdict, judge, offers, shortfall
from constructs_lib.hooks.registered import Lack
from constructs_lib.hooks.standing import Standing

Json = Mapping[str, Any]
_MOST_LISTED = 20
_NO_ROOM = ("not started", "hopeless")
_FAILURES = ("health check of", "last failure")
_WAIT = "wait a minute, then ask again"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was read of one app: of Marathon `app` and its `queue` entry, of Mesos the agents."""

    contract: str
    app: Json
    queue: Json | None
    agents: Sequence[Json]
    home: str | None
    wanted: int
    blocked_by: Sequence[tuple[str, str]] = ()
    """The chain of contracts that this one waits for, nearest first, each with what is wrong with it."""
    least: int = 0
    """How many instances its contract wants of this version; 0 for one that is to end."""
    lacks: Mapping[str, Lack] = field(default_factory=dict)
    """Task that Marathon calls healthy → why it gets no requests."""
    edges: Sequence[str] = ()
    """What is wrong with its route."""
    notes: Sequence[str] = ()
    """What else is known, and could not be asked."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """`why` in one line, then everything that was found, then the next command."""

    contract: str
    app: str
    good: bool
    why: str
    facts: tuple[str, ...]
    agents: tuple[AgentVerdict, ...]
    try_next: str | None
    others: tuple[Explanation, ...] = ()
    """The same of the contract's other versions that there are."""

    @property
    def telling(self) -> str | None:
        """What says most: the agent that is nearest to taking an instance, or what failed last."""
        if self.agents and self.agents[0].reasons:
            return f"nearest is {self.agents[0].hostname}: {'; '.join(self.agents[0].reasons)}"
        found = (fact for begin in _FAILURES for fact in self.facts if fact.startswith(begin))
        return next(found, None)

    @property
    def short(self) -> str:
        """It all in one line."""
        return "; ".join(one for one in (self.why, self.telling) if one)

    def lines(self) -> Iterator[str]:
        """The text for a person."""
        yield f"{self.contract} ({self.app}): {self.why}"
        for fact in self.facts:
            yield f"  {fact}"
        if self.agents:
            yield "  agents:"
        for one in self.agents[:_MOST_LISTED]:
            name = f"{one.hostname} (pool {one.pool})" if one.pool else one.hostname
            yield f"    {name}: {'; '.join(one.reasons) or 'would take it'}"
        if len(self.agents) > _MOST_LISTED:
            yield f"    … and {len(self.agents) - _MOST_LISTED} more; --json has all"
        if self.try_next:
            yield f"  try: {self.try_next}"
        for other in self.others:
            yield from other.lines()


def explain(seen: Seen) -> Explanation:
    """What is wrong with an app, the first cause first."""
    app = seen.app
    serving, running = happy(app) - len(_lacking(seen)), int(app.get("tasksRunning", 0))
    verdicts = _verdicts(seen) if seen.queue and _overdue(seen.queue) else ()
    why, try_next = _cause(seen, serving, running, verdicts)
    return Explanation(
        contract=seen.contract,
        app=str(app.get("id")),
        good=why is None,
        why=why or f"{serving} of {seen.wanted} instances serve, nothing is wrong",
        facts=tuple(fact for fact in _facts(seen, running) if fact != why),
        agents=verdicts if why else (),
        try_next=try_next,
    )


def held_up(found: Explanation, standing: Standing, seen: Seen) -> Explanation:
    """What is wrong with a version, and before it why its deployment does not go on, or ended."""
    try_next = found.try_next or standing.try_next
    agents = found.agents
    if standing.person:
        try_next = standing.try_next
    elif standing.failed:
        verdicts = _verdicts(seen)
        if any(sign in standing.says for sign in _NO_ROOM) and all(one.reasons for one in verdicts):
            agents = verdicts
        first = _first_of_all(seen, agents)
        try_next = f"{first}; then {standing.try_next}" if first else standing.try_next
    why = standing.says if found.good else f"{standing.says}; {found.why}"
    return replace(found, good=False, why=why, try_next=try_next, agents=agents)


def unplaceable(found: Explanation, seen: Seen, reason: str) -> Explanation:
    """Of a version that is not there: no agent could take it, each with its arithmetic, and what helps."""
    agents = _verdicts(seen)
    first = _first_of_all(seen, agents)
    try_next = f"{first}; then {found.try_next}" if first else found.try_next
    return replace(found, why=f"{found.why}; {reason}", agents=agents, try_next=try_next)


def _first_of_all(seen: Seen, agents: Sequence[AgentVerdict]) -> str | None:
    if seen.blocked_by:
        return f"clustermesos explain {seen.blocked_by[-1][0]}"
    if agents and all(one.reasons for one in agents):
        return _way_out(agents)
    return _after_a_failure(seen) if seen.app.get("lastTaskFailure") else None


Cause = tuple[str, str | None]
"""What is wrong, and what to try next."""


def _cause(
    seen: Seen, serving: int, running: int, verdicts: Sequence[AgentVerdict]
) -> tuple[str | None, str | None]:
    if serving >= seen.wanted and not seen.app.get("tasksUnhealthy"):
        return _of_all_that_serve(seen)
    if seen.blocked_by:
        chain = " → ".join(name for name, _ in seen.blocked_by)
        name, trouble = seen.blocked_by[-1]
        return f"waits for {chain}: {trouble}", f"clustermesos explain {name}"
    if seen.queue:
        return _why_queued(seen, seen.queue, verdicts)
    return _of_those_that_run(seen, serving, running)


def _of_all_that_serve(seen: Seen) -> tuple[str | None, str | None]:
    """There may be fewer asked for than its contract wants, and visitors may not get to them."""
    asked = int(seen.app.get("instances", 0))
    if asked < seen.least:
        few = f"{asked} instances are asked for, its contract wants {seen.least}"
        return (
            f"{few}: somebody changed it, or a restore or a deployment was interrupted",
            "clustermesos apply",
        )
    return (seen.edges[0], "clustermesos status") if seen.edges else (None, None)


def _of_those_that_run(seen: Seen, serving: int, running: int) -> Cause:
    if unhealthy := seen.app.get("tasksUnhealthy"):
        return f"{unhealthy} of {running} instances fail their health check", _after_a_failure(seen)
    if lacks := _lacking(seen):
        task, first = lacks[0]
        few = f"{len(lacks)} of {running} instances get no requests, although Marathon calls them healthy"
        return f"{few}: {task.get('id')} {first.why}", first.helps
    staged = int(seen.app.get("tasksStaged", 0))
    if staged:
        return f"{staged} instances are being started: their agents fetch the image", _WAIT
    young = running - serving
    unchecked = f", {young} more run and passed no health check yet" if young > 0 else ""
    return f"{serving} of {seen.wanted} instances serve{unchecked}", _WAIT


def _why_queued(seen: Seen, queue: Json, verdicts: Sequence[AgentVerdict]) -> Cause:
    if not _overdue(queue):
        left = (queue.get("delay") or {}).get("timeLeftSeconds", 0)
        return f"its tasks failed; the next one is started in {left} s", _after_a_failure(seen)
    takers = [one for one in verdicts if not one.reasons]
    short = f"{queue.get('count', '?')} of {seen.wanted} instances wait for an agent that can take one"
    if not verdicts:
        return f"{short}: no agent is registered", "clustermesos status"
    if takers:
        return f"{short}: {_offers_word(queue, takers)}", _WAIT
    return f"{short}: none of {len(verdicts)} agents can", _way_out(verdicts)


def _after_a_failure(seen: Seen) -> str:
    failure = seen.app.get("lastTaskFailure") or {}
    message = str(failure.get("message", ""))
    # 128 + SIGKILL: nobody but the kernel does that to a task that was not asked to end.
    if "137" in message or "oom" in message.lower() or "memory limit" in message.lower():
        return f"more ops.memory_mib: it was killed, which the kernel does above {seen.app.get('mem')} MiB"
    hosts = [task.get("host") for task in seen.app.get("tasks") or () if task.get("healthCheckResults")]
    where = failure.get("host") or next(iter(hosts), "its agent")
    return f"its output: on {where}, sudo docker ps --all, sudo docker logs"


def _overdue(queue: Json) -> bool:
    """True: it waits for offers; false: it backs off after failures."""
    return bool((queue.get("delay") or {}).get("overdue", True))


def _offers_word(queue: Json, takers: Sequence[AgentVerdict]) -> str:
    summary = queue.get("processedOffersSummary") or {}
    names = ", ".join(one.hostname for one in takers[:3])
    room = f"{names} {'has' if len(takers) == 1 else 'have'} room"
    if not summary.get("processedOffersCount"):
        return f"{room}, but no offer has come: another framework holds it, or Marathon's own is inactive"
    return f"{room}, and no offer has come since"


_WAYS_OUT = (
    ("constraint", "loosen placement in the contract, or add agents that keep it (sites.*.agents)"),
    ("role", "agents that offer this role, or a contract that accepts the role '*'"),
    (
        "holds none",
        "bring back the agent that holds its volumes, or give them up: DELETE /v2/apps/ID with wipe=true",
    ),
    ("has GPUs", "agents without GPUs, or ask for some of them"),
    ("Marathon says", "its log: on a master, sudo journalctl -u marathon"),
    ("is in region", "clustermesos apply: what contracts compile to always names its regions"),
    ("is in maintenance", "end the maintenance (POST /machine/up at the Mesos master), or add agents"),
    ("is not connected", "clustermesos nodes plan agent"),
    ("", "more or larger agents (cluster.yaml: sites.*.agents, then cdktf deploy), or ask for less"),
)
"""How the reason that most agents give begins → what helps."""


def _way_out(verdicts: Sequence[AgentVerdict]) -> str:
    firsts = Counter(
        next(begin for begin, _ in _WAYS_OUT if reason.startswith(begin))
        for one in verdicts
        for reason in one.reasons
    )
    return dict(_WAYS_OUT)[firsts.most_common(1)[0][0]]


def _verdicts(seen: Seen) -> tuple[AgentVerdict, ...]:
    queue = seen.queue or {}
    found = offers(seen.agents, queue.get("lastUnusedOffers") or ())
    by_id = {one.agent: one for one in found}
    running = [
        {
            "hostname": offer.hostname,
            "attributes": offer.attributes,
            "region": offer.region,
            "zone": offer.zone,
        }
        for task in seen.app.get("tasks") or ()
        if (offer := by_id.get(str(task.get("slaveId")))) is not None
    ]
    judged = [(judge(seen.app, one, running, seen.home), shortfall(seen.app, one)) for one in found]
    # Nearest to taking it first: fewest reasons, then least missing.
    judged.sort(key=lambda one: (len(one[0].reasons), one[1], one[0].hostname))
    return tuple(verdict for verdict, _missing in judged)


def _lacking(seen: Seen) -> list[tuple[Json, Lack]]:
    there = seen.app.get("tasks") or ()
    return [(task, seen.lacks[str(task["id"])]) for task in there if str(task.get("id")) in seen.lacks]


def _facts(seen: Seen, running: int) -> Iterator[str]:
    app, queue = seen.app, seen.queue or {}
    healthy = f", {app.get('tasksHealthy', 0)} healthy" if app.get("healthChecks") else ""
    yield (
        f"instances: {seen.wanted} wanted, {running} running{healthy}, {app.get('tasksStaged', 0)} staged, "
        f"{app.get('tasksUnhealthy', 0)} unhealthy"
    )
    if deployments := app.get("deployments"):
        yield f"locked by deployment {', '.join(str(one.get('id')) for one in deployments)}"
    if failure := app.get("lastTaskFailure"):
        yield (
            f"last failure: {failure.get('state')} on {failure.get('host')} at {failure.get('timestamp')}: "
            f"{failure.get('message') or 'no message'}"
        )
    for task in app.get("tasks") or ():
        for result in task.get("healthCheckResults") or ():
            if not result.get("alive", True):
                cause = result.get("lastFailureCause") or "no cause told"
                yield f"health check of {task.get('id')} on {task.get('host')}: {cause}"
    for task, lack in _lacking(seen):
        yield f"{task.get('id')} on {task.get('host')} {lack.why}"
    yield from seen.edges
    if seen.blocked_by and running:
        name, trouble = seen.blocked_by[-1]
        yield f"what it needs is in trouble: {name}: {trouble}; clustermesos explain {name}"
    yield from seen.notes
    summary = queue.get("processedOffersSummary")
    if summary and _overdue(queue):
        yield _summary(summary)


def _summary(summary: Json) -> str:
    """Which reasons Marathon counted; what it refused without any is the difference."""
    steps = [one for one in summary.get("rejectSummaryLaunchAttempt") or () if one.get("declined")]
    told = ", ".join(f"{one['declined']} {one['reason']}" for one in steps) or "no reason"
    unused = int(summary.get("unusedOffersCount", 0))
    text = f"offers: {summary.get('processedOffersCount', 0)} looked at, {unused} turned down: {told}"
    silent = unused - sum(int(one["declined"]) for one in steps)
    if silent > 0:
        text += f"; {silent} without a stated reason (another region, or a plugin)"
    return text
