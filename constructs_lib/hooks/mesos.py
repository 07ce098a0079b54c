"""What the leading Mesos master knows: agents, frameworks, metrics. A non-leader redirects, or says 503.

Source: ClusterD 1.11's `src/master/http.cpp`; `/state` is not asked, it grows with everything that ever ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.http import Client


class Mesos:
    """Calls of one run; all raise ApiError."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def agents(self) -> tuple[Mapping[str, Any], ...]:
        """Registered agents: hostname, active, attributes, resources, used_resources, domain."""
        return tuple(self._object("/master/slaves").get("slaves") or ())

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
