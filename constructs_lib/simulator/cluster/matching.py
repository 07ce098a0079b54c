"""Whether an offer will do for an app, and all reasons why not (Marathon's `ResourceMatcher.scala`)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from constructs_lib.simulator.cluster.agents import Agent
from constructs_lib.simulator.cluster.constraints import fits

FUNNEL: Final = (
    "UnfulfilledRole",
    "UnfulfilledConstraint",
    "NoCorrespondingReservationFound",
    "AgentMaintenance",
    "InsufficientCpus",
    "InsufficientMemory",
    "InsufficientDisk",
    "InsufficientGpus",
    "InsufficientPorts",
    "DeclinedScarceResources",
)
"""The reasons in the order in which Marathon's summary counts them: the first one of each offer."""
_AMOUNTS = (
    ("cpus", "InsufficientCpus"),
    ("mem", "InsufficientMemory"),
    ("disk", "InsufficientDisk"),
    ("gpus", "InsufficientGpus"),
)


@dataclass(frozen=True)
class Match:
    """`ports` for the task where the offer fits; else `reasons`, which are empty where Marathon is silent."""

    fits: bool
    reasons: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


def match(
    app: Mapping[str, Any], agent: Agent, others: Sequence[Agent], *, home: str | None, reserved: set[str]
) -> Match:
    """Hold an app against what is free on an agent.

    Args:
        app: with all defaults.
        agent: whose resources are offered.
        others: where the app's instances of this configuration run.
        home: the region of the masters.
        reserved: the agents that hold volumes of the app which wait for an instance.
    """
    if _elsewhere(app, agent, home):
        return Match(fits=False)
    reasons = set(_refusals(app, agent, others, reserved))
    free = agent.free()
    reasons |= {reason for name, reason in _AMOUNTS if free[name] + 1e-9 < app.get(name, 0)}
    ports = _ports(app, agent)
    if ports is None:
        reasons.add("InsufficientPorts")
    if free["gpus"] > 0 and not app.get("gpus"):
        reasons.add("DeclinedScarceResources")
    if reasons or ports is None:
        return Match(fits=False, reasons=tuple(reason for reason in FUNNEL if reason in reasons))
    return Match(fits=True, ports=ports)


def _elsewhere(app: Mapping[str, Any], agent: Agent, home: str | None) -> bool:
    """Agents of another region are for those who name a region or a zone; Marathon gives no reason."""
    if agent.region is None or agent.region == home:
        return False
    return not any(constraint[0] in ("@region", "@zone") for constraint in app["constraints"])


def _refusals(app: Mapping[str, Any], agent: Agent, others: Sequence[Agent], reserved: set[str]) -> list[str]:
    found = []
    if agent.role not in (app.get("acceptedResourceRoles") or ["*"]):
        found.append("UnfulfilledRole")
    if not all(fits(constraint, agent, others) for constraint in app["constraints"]):
        found.append("UnfulfilledConstraint")
    if reserved and agent.id not in reserved:
        found.append("NoCorrespondingReservationFound")
    if agent.maintenance:
        found += ["UnfulfilledConstraint", "AgentMaintenance"]
    return found


def wanted_ports(app: Mapping[str, Any]) -> list[int]:
    """The host ports that an app asks for, 0 for any; none on a network of its own without `hostPort`."""
    mappings = (app.get("container") or {}).get("portMappings")
    if mappings:
        return [mapping["hostPort"] for mapping in mappings if mapping.get("hostPort") is not None]
    definitions = app.get("portDefinitions") or []
    keep = app.get("requirePorts", False)
    return [definition.get("port", 0) if keep else 0 for definition in definitions]


def _ports(app: Mapping[str, Any], agent: Agent) -> tuple[int, ...] | None:
    wanted = wanted_ports(app)
    fixed = {port for port in wanted if port}
    if not all(agent.has_port(port) for port in fixed):
        return None
    free = list(itertools.islice((p for p in agent.free_ports() if p not in fixed), len(wanted) - len(fixed)))
    if len(free) < sum(1 for port in wanted if not port):
        return None
    left = iter(free)
    return tuple(port or next(left) for port in wanted)
