"""Prometheus' HTTP API, as far as the hooks use it. Source: prometheus.io, "HTTP API"."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.http import Client

PREFIX: Final = "prometheus/"
"""Begins the name of a site's Prometheus among the endpoints."""
ASK_SECONDS: Final = 10.0
"""How long one of them may be silent."""
Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class LoadedRule:
    """A rule that Prometheus runs with. `seconds` is its `for`, `error` what its evaluation failed with."""

    file: str
    """The name of its file, without folder and ending: the contract's."""
    group: str
    name: str
    query: str
    seconds: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    firing: bool
    error: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A series at one time; its name is the label `__name__`."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, kw_only=True)
class ReadTarget:
    """Something that Prometheus reads: `health` is up, down or unknown, `error` why it is down."""

    contract: str
    url: str
    health: str
    error: str


def everywhere(endpoints: Endpoints) -> list[Instance]:
    """Every Prometheus of the platform."""
    return [
        one for program, found in endpoints.instances.items() if program.startswith(PREFIX) for one in found
    ]


def asked(
    endpoints: Endpoints,
    place: Instance,
    deadline: Deadline,
    ask: Callable[[Prometheus], Answer],
    *,
    patient: bool = True,
) -> Answer | Silent:
    """What one Prometheus answers by itself, or why it said nothing; `patient` asks again until then."""
    if place.where in endpoints.lost:
        return Silent(endpoints.lost[place.where])
    with closing(Client(endpoints.one(PREFIX, place), deadline, patient=patient)) as client:
        try:
            return ask(Prometheus(client))
        except ApiError as error:
            return Silent(error.said)


class Silent(str):
    """Why there is no answer."""


class Prometheus:
    """Instant queries, rules and targets; all raise ApiError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def values(self, query: str, at: float) -> tuple[float, ...]:
        """The value of each series at a time in seconds since 1970; nothing where there is no data."""

        def read(data: Any) -> tuple[float, ...]:
            rows: Sequence[Sequence[object]] = (
                [data["result"]]
                if data["resultType"] in ("scalar", "string")
                else [row["value"] for row in data["result"]]
            )
            return tuple(float(str(value)) for _, value in rows)

        found = self._ask("query", read, [("query", query), ("time", f"{at:.3f}")], of="values")
        return tuple(value for value in found if not math.isnan(value))

    def series(self, query: str) -> tuple[Sample, ...]:
        """Each series that a query finds now."""
        return self._ask(
            "query",
            lambda data: tuple(
                Sample(labels=dict(row["metric"]), value=float(row["value"][1])) for row in data["result"]
            ),
            [("query", query)],
        )

    def rules(self) -> tuple[LoadedRule, ...]:
        """All rules that it runs with."""
        return self._ask(
            "rules",
            lambda data: tuple(_rule(group, rule) for group in data["groups"] for rule in group["rules"]),
        )

    def targets(self) -> tuple[ReadTarget, ...]:
        """What it reads that has the label `contract`."""
        return self._ask(
            "targets",
            lambda data: tuple(
                _target(one) for one in data["activeTargets"] if one["labels"].get("contract")
            ),
            [("state", "active")],
        )

    def _ask(
        self,
        path: str,
        read: Callable[[Any], Answer],
        query: Sequence[tuple[str, str]] = (),
        *,
        of: str = "data",
    ) -> Answer:
        body = self._client.get(f"/api/v1/{path}", query).body
        try:
            return read(body["data"])
        except (LookupError, TypeError, ValueError, AttributeError):
            raise ApiError("unreadable", "Prometheus", f"its answer holds no {of}") from None


def _rule(group: Any, rule: Any) -> LoadedRule:
    return LoadedRule(
        file=PurePosixPath(group["file"]).stem,
        group=str(group["name"]),
        name=str(rule["name"]),
        query=str(rule["query"]),
        seconds=float(rule.get("duration", 0)),
        labels=dict(rule.get("labels") or {}),
        annotations=dict(rule.get("annotations") or {}),
        firing=rule.get("state") == "firing",
        error=str(rule.get("lastError") or "") if rule.get("health") == "err" else "",
    )


def _target(one: Any) -> ReadTarget:
    return ReadTarget(
        contract=str(one["labels"]["contract"]),
        url=str(one["scrapeUrl"]),
        health=str(one["health"]),
        error=str(one.get("lastError") or ""),
    )
