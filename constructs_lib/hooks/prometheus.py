"""Prometheus' query API, as far as the hooks use it. Source: prometheus.io, "HTTP API"."""

from __future__ import annotations

import math
from collections.abc import Sequence

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.http import Client


class Prometheus:
    """Instant queries; all raise ApiError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def values(self, query: str, at: float) -> tuple[float, ...]:
        """The value of each series at a time in seconds since 1970; nothing where there is no data."""
        body = self._client.get("/api/v1/query", [("query", query), ("time", f"{at:.3f}")]).body
        try:
            data = body["data"]
            rows: Sequence[Sequence[object]] = (
                [data["result"]]
                if data["resultType"] in ("scalar", "string")
                else [row["value"] for row in data["result"]]
            )
            found = [float(str(value)) for _, value in rows]
        except (LookupError, TypeError, ValueError):
            raise ApiError("unreadable", "Prometheus", "its answer holds no values") from None
        return tuple(value for value in found if not math.isnan(value))
