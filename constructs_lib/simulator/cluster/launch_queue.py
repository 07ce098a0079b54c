"""Marathon's launch queue: how many instances wait, since when, and what became of the offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from constructs_lib.simulator.cluster.agents import Agent
from constructs_lib.simulator.cluster.matching import FUNNEL
from constructs_lib.simulator.cluster.world import iso


@dataclass
class Refused:
    """The last offer of an agent that was turned down, and all the reasons."""

    agent: Agent
    reasons: tuple[str, ...]
    at: float
    resources: dict[str, Any]


@dataclass
class Item:
    """What waits of one app. `since` is when the attempt began; the counts are from then on."""

    app: str
    count: int
    since: float
    refused: dict[str, Refused] = field(default_factory=dict)
    """Agent's id → its last offer."""
    declined: dict[str, int] = field(default_factory=dict)
    """Reason → how many offers were turned down by it first."""
    processed: int = 0
    unused: int = 0
    last_unused_at: float | None = None
    last_used_at: float | None = None
    judged: int = -1
    """The world's revision at which all agents were judged, so that nobody judges them twice."""
    _repeats: int = 0
    """How often the same offers came again and are not counted yet: an app may wait for days."""
    _repeated_at: float = 0.0

    def turned_down(self, agent: Agent, reasons: tuple[str, ...], now: float) -> None:
        """Note an offer that did not fit."""
        self._settle()
        self.refused[agent.id] = Refused(agent, reasons, now, offered(agent))
        self._count(reasons, now)

    def again(self, now: float) -> None:
        """Note that the same offers came again, and fit no better."""
        self._repeats += 1
        self._repeated_at = now

    def _settle(self) -> None:
        times, self._repeats = self._repeats, 0
        for refused in self.refused.values():
            if times and refused.agent.offers:
                refused.at = self._repeated_at
                self._count(refused.reasons, self._repeated_at, times)

    def _count(self, reasons: tuple[str, ...], now: float, times: int = 1) -> None:
        self.processed += times
        self.unused += times
        self.last_unused_at = now
        if reasons:
            self.declined[reasons[0]] = self.declined.get(reasons[0], 0) + times

    def used(self, agent: Agent, now: float) -> None:
        """Note an offer that was taken."""
        self._settle()
        self.processed += 1
        self.last_used_at = now
        self.refused.pop(agent.id, None)

    def summary(self) -> dict[str, Any]:
        """`processedOffersSummary`."""
        self._settle()
        last: dict[str, int] = {}
        for refused in self.refused.values():
            if refused.reasons:
                last[refused.reasons[0]] = last.get(refused.reasons[0], 0) + 1
        found: dict[str, Any] = {
            "processedOffersCount": self.processed,
            "unusedOffersCount": self.unused,
            "rejectSummaryLastOffers": _funnel(last, len(self.refused)),
            "rejectSummaryLaunchAttempt": _funnel(self.declined, self.processed),
        }
        if self.last_unused_at is not None:
            found["lastUnusedOfferAt"] = iso(self.last_unused_at)
        if self.last_used_at is not None:
            found["lastUsedOfferAt"] = iso(self.last_used_at)
        return found

    def last_unused_offers(self) -> list[dict[str, Any]]:
        """`lastUnusedOffers`: the last offer of each agent with all its reasons."""
        self._settle()
        return [
            {
                "offer": _offer(refused),
                "reason": list(refused.reasons),
                "timestamp": iso(refused.at),
            }
            for refused in self.refused.values()
        ]


def _funnel(declined: Mapping[str, int], processed: int) -> list[dict[str, Any]]:
    """Each step sees what the steps before let through."""
    steps, left = [], processed
    for reason in FUNNEL:
        gone = declined.get(reason, 0)
        steps.append({"reason": reason, "declined": gone, "processed": left})
        left -= gone
    return steps


def offered(agent: Agent) -> dict[str, Any]:
    """What is free on an agent, as it is offered."""
    return {**agent.free(), "ports": agent.free_ranges()}


def _offer(refused: Refused) -> dict[str, Any]:
    agent = refused.agent
    resources: list[dict[str, Any]] = []
    for name in ("cpus", "mem", "disk", "gpus"):
        if amount := refused.resources[name]:
            resources.append({"name": name, "role": agent.role, "scalar": amount, "set": []})
    ranges = [{"begin": low, "end": high} for low, high in refused.resources["ports"]]
    resources.append({"name": "ports", "role": agent.role, "ranges": ranges, "set": []})
    attributes: list[dict[str, Any]] = [
        {"name": name, "scalar": value}
        if isinstance(value, int | float)
        else {"name": name, "text": value, "set": []}
        for name, value in agent.attributes.items()
    ]
    found: dict[str, Any] = {
        "id": f"{agent.id}-O{int(refused.at)}",
        "agentId": agent.id,
        "hostname": agent.hostname,
        "resources": resources,
        "attributes": attributes,
    }
    if agent.region is not None:
        found["region"] = agent.region
    if agent.zone is not None:
        found["zone"] = agent.zone
    return found
