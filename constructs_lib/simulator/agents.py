"""What the leading master's double knows: agents and frameworks, kept alive by their heartbeats.

The wire between the doubles is their own, below `/double/`: libprocess messages are not imitated.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

DISCONNECTED_AFTER = 5.0
"""Seconds without a heartbeat until somebody counts as disconnected, where Mesos sees the link break."""


@dataclass
class Agent:
    """One agent: `info` is what it sent (hostname, port, resources, attributes, domain)."""

    id: str
    info: dict[str, Any]
    registered: float
    heard: float
    reregistered: float | None = None
    deactivated: bool = False
    drain: dict[str, Any] | None = None


@dataclass
class Framework:
    """One framework: `info` is what it sent (name, principal, role, hostname, webui_url)."""

    id: str
    info: dict[str, Any]
    registered: float
    heard: float
    reregistered: float | None = None


@dataclass
class Members:
    """Everybody who registered with this master since it leads.

    Attributes:
        master_id: begins every id that it gives.
        removed_after: seconds without a heartbeat after which an agent is unreachable and no longer listed.
    """

    master_id: str
    removed_after: float
    agents: dict[str, Agent] = field(default_factory=dict)
    frameworks: dict[str, Framework] = field(default_factory=dict)
    unreachable: int = 0
    gone: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _given: int = 0

    def agent(self, id: str | None, info: dict[str, Any]) -> tuple[Agent, bool]:
        """Note a heartbeat; gives the agent, and whether it is new here."""
        now = time.time()
        with self._lock:
            known = self.agents.get(id or "")
            if known is not None:
                known.info, known.heard = info, now
                return known, False
            made = Agent(id or self._next("S"), info, now, now, now if id else None)
            self.agents[made.id] = made
            return made, True

    def framework(self, id: str | None, info: dict[str, Any]) -> tuple[Framework, bool]:
        """Note a heartbeat; gives the framework, and whether it is new here."""
        now = time.time()
        with self._lock:
            known = self.frameworks.get(id or "")
            if known is not None:
                known.info, known.heard = info, now
                return known, False
            made = Framework(id or self._next(""), info, now, now, now if id else None)
            self.frameworks[made.id] = made
            return made, True

    def _next(self, kind: str) -> str:
        number = self._given
        self._given += 1
        return f"{self.master_id}-{kind}{number}" if kind else f"{self.master_id}-{number:04}"

    def listed(self) -> tuple[list[Agent], list[Framework]]:
        """The agents that are not unreachable, and the frameworks."""
        limit = time.time() - self.removed_after
        with self._lock:
            for id in [agent.id for agent in self.agents.values() if agent.heard < limit]:
                del self.agents[id]
                self.unreachable += 1
            return list(self.agents.values()), list(self.frameworks.values())

    def mark_gone(self, id: str) -> None:
        """Never accept this agent again."""
        with self._lock:
            self.agents.pop(id, None)
            self.gone.add(id)


def is_connected(member: Agent | Framework) -> bool:
    """Whether it was heard of lately."""
    return time.time() - member.heard < DISCONNECTED_AFTER
