"""Why an agent does not take an app's next task: the arithmetic, agent by agent.

Marathon says of each offer only the first reason of its funnel, or none at all, and never by how much it was
too little. All of it is computed here from what was asked and what the agent has.

Source of the rules: Marathon 1.10's `ResourceMatcher.scala`, `Constraints.scala`, `NoOfferMatchReason.scala`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
_ASKED = (("cpus", 1.0), ("mem", 128.0), ("disk", 0.0), ("gpus", 0.0))
_SHOWN = {"cpus": ("cpus", ""), "mem": ("memory", " MiB"), "disk": ("disk", " MiB"), "gpus": ("gpus", "")}
_TINY = 1e-9
_STATED = {
    "AgentMaintenance": "is in maintenance",
    "NoCorrespondingReservationFound": "holds none of the reservations that the app's volumes wait for",
    "DeclinedScarceResources": "has GPUs, which Marathon keeps for apps that ask for some",
}
"""What Marathon alone knows of an offer."""
_COUNTED = {"UnfulfilledRole", "UnfulfilledConstraint"} | {
    f"Insufficient{name}" for name in ("Cpus", "Memory", "Disk", "Gpus", "Ports")
}
"""Reasons that are told with their arithmetic."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What an agent has for the app now: what Marathon was offered where `seen`, else what is free."""

    agent: str
    hostname: str
    resources: Mapping[str, float]
    ports: Sequence[tuple[int, int]]
    attributes: Mapping[str, str]
    region: str | None
    zone: str | None
    roles: tuple[str, ...] = ("*",)
    """For whom it is offered; "*" is for all."""
    declined: tuple[str, ...] = ()
    """Why Marathon turned its last offer down, in its own words; some refusals have none."""
    seen: bool = False
    active: bool = True


@dataclass(frozen=True, kw_only=True)
class AgentVerdict:
    """Every reason for which one agent does not take the task; none means that it would."""

    hostname: str
    pool: str | None
    reasons: tuple[str, ...]
    seen: bool


def offers(agents: Sequence[Json], unused: Sequence[Json]) -> tuple[Offer, ...]:
    """One per registered agent: of the leading master's `/slaves`, and Marathon's `lastUnusedOffers`."""
    last = {
        one["offer"].get("agentId") or one["offer"].get("hostname"): one for one in unused if one.get("offer")
    }
    return tuple(
        _offer(agent, last.get(agent.get("id")) or last.get(agent.get("hostname"))) for agent in agents
    )


def _offer(agent: Json, unused: Json | None) -> Offer:
    total, used = agent.get("resources") or {}, agent.get("used_resources") or {}
    free = {name: float(total.get(name, 0)) - float(used.get(name, 0)) for name, _ in _ASKED}
    ports, roles = _ranges(str(total.get("ports", ""))), _roles(agent)
    if unused is not None:
        offered = unused["offer"].get("resources") or ()
        free = {name: _scalar(offered, name) for name, _ in _ASKED}
        ports = [(int(r["begin"]), int(r["end"])) for one in offered for r in one.get("ranges") or ()]
        roles = sorted({str(one.get("role") or "*") for one in offered})
    fault = (agent.get("domain") or {}).get("fault_domain") or {}
    return Offer(
        agent=str(agent.get("id")),
        hostname=str(agent.get("hostname")),
        resources=free,
        ports=ports,
        attributes={str(k): str(v) for k, v in (agent.get("attributes") or {}).items()},
        region=(fault.get("region") or {}).get("name"),
        zone=(fault.get("zone") or {}).get("name"),
        roles=tuple(roles) or ("*",),
        declined=tuple(str(one) for one in (unused or {}).get("reason") or ()),
        seen=unused is not None,
        active=bool(agent.get("active", True)),
    )


def _roles(agent: Json) -> list[str]:
    """For whom an agent's resources are: reserved ones for their role alone, all others for everybody."""
    reserved, rest = agent.get("reserved_resources") or {}, agent.get("unreserved_resources")
    for_all = not reserved or rest is None or any(float(rest.get(name, 0)) for name in ("cpus", "mem"))
    return [*(["*"] if for_all else []), *sorted(map(str, reserved))]


def _scalar(offered: Sequence[Json], name: str) -> float:
    return sum(float(one.get("scalar") or 0) for one in offered if one.get("name") == name)


def _ranges(text: str) -> list[tuple[int, int]]:
    """`[31000-32000, 33000-33000]`."""
    return [(int(a), int(b)) for a, b in re.findall(r"(\d+)-(\d+)", text)]


def judge(app: Json, offer: Offer, running: Sequence[Json], home: str | None) -> AgentVerdict:
    """Why `offer` does not take the next task of `app`.

    `running` are the app's tasks with the `offer` facts of their agents (`hostname`, `attributes`, `region`,
    `zone`), which UNIQUE, GROUP_BY, MAX_PER and CLUSTER count; `home` is the masters' region.
    """
    reasons = (
        *_state(app, offer, home),
        *_constraints(app, offer, running),
        *_missing(app, offer),
        *_ports(app, offer),
    )
    return AgentVerdict(
        hostname=offer.hostname, pool=offer.attributes.get("pool"), reasons=reasons, seen=offer.seen
    )


def _state(app: Json, offer: Offer, home: str | None) -> Iterator[str]:
    if not offer.active:
        yield "is not connected to the leading Mesos master"
    yield from (_STATED[one] for one in offer.declined if one in _STATED)
    yield from (
        f"Marathon says {one}" for one in offer.declined if one not in _STATED and one not in _COUNTED
    )
    wanted = app.get("acceptedResourceRoles") or ["*"]
    if not set(offer.roles) & set(wanted):
        offered = " and ".join(map(repr, offer.roles))
        yield f"role {offered} is offered, {' or '.join(map(repr, wanted))} is accepted"
    regional = any(constraint[0] in ("@region", "@zone") for constraint in app.get("constraints") or ())
    if home and offer.region and offer.region != home and not regional:
        yield (
            f"is in region {offer.region}, the masters are in {home}: Marathon refuses it without a word "
            "unless a constraint names @region"
        )


def shortfall(app: Json, offer: Offer) -> float:
    """How much is missing, as shares of what is asked, of all resources together."""
    return sum((asked - there) / asked for _name, asked, there in _too_little(app, offer))


def _missing(app: Json, offer: Offer) -> Iterator[str]:
    for name, asked, there in _too_little(app, offer):
        what = "offered" if offer.seen else "free"
        shown, unit = _SHOWN[name]
        yield f"{shown}: {asked:g}{unit} asked, {there:g} {what}, {asked - there:g} missing"


def _too_little(app: Json, offer: Offer) -> Iterator[tuple[str, float, float]]:
    for name, default in _ASKED:
        asked, there = float(app.get(name, default)), offer.resources.get(name, 0.0)
        if asked > there + _TINY:
            yield name, asked, there


def _ports(app: Json, offer: Offer) -> Iterator[str]:
    wanted = [int(one) for one in _host_ports(app)]
    fixed = [port for port in wanted if port]
    taken = [port for port in fixed if not any(low <= port <= high for low, high in offer.ports)]
    if taken:
        spans = ", ".join(f"{low}-{high}" for low, high in offer.ports) or "none"
        yield f"host port {', '.join(map(str, taken))} is not among those offered ({spans})"
    there = sum(high - low + 1 for low, high in offer.ports)
    if len(wanted) > there:
        yield f"ports: {len(wanted)} asked, {there} offered, {len(wanted) - there} missing"


def _host_ports(app: Json) -> list[int]:
    mappings = (app.get("container") or {}).get("portMappings") or ()
    found = [one.get("hostPort", 0) for one in mappings]
    return [port or 0 for port in found] + [one.get("port", 0) for one in app.get("portDefinitions") or ()]


def _constraints(app: Json, offer: Offer, running: Sequence[Json]) -> Iterator[str]:
    for constraint in app.get("constraints") or ():
        field, operator, *rest = constraint
        value = rest[0] if rest else None
        has = _value(field, offer)
        others = [found for task in running if (found := _task_value(field, task)) is not None]
        if trouble := _fails(operator, value, has, others):
            shown = " ".join(str(part) for part in constraint)
            yield f"constraint {shown}: {trouble}"


def _value(field: str, offer: Offer) -> str | None:
    own = {
        "hostname": offer.hostname,
        "@hostname": offer.hostname,
        "@region": offer.region,
        "@zone": offer.zone,
    }
    return own[field] if field in own else offer.attributes.get(field)


def _task_value(field: str, task: Json) -> str | None:
    own = {
        "hostname": task.get("hostname"),
        "@hostname": task.get("hostname"),
        "@region": task.get("region"),
        "@zone": task.get("zone"),
    }
    found = own[field] if field in own else (task.get("attributes") or {}).get(field)
    return None if found is None else str(found)


def _fails(operator: str, value: str | None, has: str | None, others: Sequence[str]) -> str | None:
    """Why the constraint is not kept, None where it is."""
    if has is None:
        return None if operator == "UNLIKE" else "the agent does not say it"
    rule = _RULES.get(operator)
    return rule(value, has, others) if rule else None


def _like(value: str | None, has: str, others: Sequence[str]) -> str | None:
    return None if re.fullmatch(value or "", has) else f"it is {has!r}"


def _unlike(value: str | None, has: str, others: Sequence[str]) -> str | None:
    return f"it is {has!r}" if re.fullmatch(value or "", has) else None


def _is(value: str | None, has: str, others: Sequence[str]) -> str | None:
    return None if has == value else f"it is {has!r}"


def _cluster(value: str | None, has: str, others: Sequence[str]) -> str | None:
    """Without a value the first instance decides."""
    together = value or (others[0] if others else has)
    return None if has == together else f"it is {has!r}, all instances belong to {together!r}"


def _unique(value: str | None, has: str, others: Sequence[str]) -> str | None:
    return _max_per("1", has, others)


def _max_per(value: str | None, has: str, others: Sequence[str]) -> str | None:
    most, mine = int(value or 1), others.count(has)
    words = f"{mine} of the app's instances run on {has!r} already, {most} at most"
    return words if mine >= most else None


def _group_by(value: str | None, has: str, others: Sequence[str]) -> str | None:
    """No group may get more than the smallest one has; one that is empty has none."""
    counts = {group: others.count(group) for group in {*others, has}}
    wanted = int(value or 0)
    # While there are fewer groups than wanted, the next instance has to begin a new one.
    smallest = min(counts.values()) if len(counts) >= wanted else 0
    if counts[has] <= smallest:
        return None
    return f"{counts[has]} of the app's instances are in {has!r} already, another group has {smallest}"


_RULES: Mapping[str, Callable[[str | None, str, Sequence[str]], str | None]] = {
    "LIKE": _like,
    "UNLIKE": _unlike,
    "IS": _is,
    "CLUSTER": _cluster,
    "UNIQUE": _unique,
    "MAX_PER": _max_per,
    "GROUP_BY": _group_by,
}
