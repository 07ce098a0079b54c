"""What the leading Mesos master knows: agents, frameworks, metrics. A non-leader redirects, or says 503.

Source: ClusterD 1.11's `src/master/http.cpp`; `/state` is not asked, it grows with everything that ever ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.http import Client


@dataclass(frozen=True, kw_only=True)
class Memory:
    """From whom a leading master knows what runs: a new one begins with nothing."""

    agents: frozenset[tuple[str, float]]
    """Registered ones, and since when at this master."""
    awaited: tuple[str, ...]
    """Those of the master before that have not registered yet; what runs there is not known."""

    def goes_on_from(self, before: Memory) -> bool:
        """Whether it is surely the same master's: an agent is registered since the same moment."""
        return not self.agents.isdisjoint(before.agents)

    def is_whole_since(self, before: Memory) -> bool:
        """Whether what was asked for in between is all that runs."""
        same = self.goes_on_from(before) or not (self.agents or before.agents)
        return same and not self.awaited and not before.awaited


class Mesos:
    """Calls of one run; all raise ApiError."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def agents(self) -> tuple[Mapping[str, Any], ...]:
        """Registered agents: hostname, active, attributes, resources, used_resources, domain."""
        return tuple(self._object("/master/slaves").get("slaves") or ())

    def memory(self) -> Memory:
        """From whom it knows what it tells; see Memory."""
        found = self._object("/master/slaves")
        agents = (
            (str(one.get("id")), float(one.get("registered_time") or 0)) for one in found.get("slaves") or ()
        )
        awaited = (str(one.get("hostname")) for one in found.get("recovered_slaves") or ())
        return Memory(agents=frozenset(agents), awaited=tuple(awaited))

    def frameworks(self) -> tuple[Mapping[str, Any], ...]:
        """Registered frameworks: id, name, active, connected."""
        return tuple(self._object("/master/frameworks").get("frameworks") or ())

    def metrics(self) -> Mapping[str, float]:
        """`/metrics/snapshot` of one master: its own numbers, whether it leads or not."""
        return dict(self._object("/metrics/snapshot"))

    def _object(self, path: str) -> Mapping[str, Any]:
        found = self.client.get(path).body
        if isinstance(found, dict):
            return found
        raise ApiError(
            "unreadable", f"Mesos: GET {path}", f"got {type(found).__name__} where an object is expected"
        )
