"""What a deployment is decided from: what is wanted, and what Marathon, Consul and edges say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from constructs_lib.contracts.compiled import Deployment


class Health(StrEnum):
    """How an instance is; the order of the members is the order in which instances are kept."""

    HAPPY = "happy"
    """Healthy in Marathon, passing in Consul, listed by every edge, all for `min_healthy` seconds."""
    UNKNOWN = "unknown"
    """Nobody says: results that a change of leader lost. Neither good nor bad."""
    STARTING = "starting"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One task of one version."""

    task: str
    health: Health
    agent: str = ""


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version as Marathon has it."""

    version: str
    asked: int
    """How many instances Marathon was told to run."""
    instances: tuple[Instance, ...] = ()
    """Those that run or start. There may be fewer than asked, while Marathon waits or has no room."""
    ending: int = 0
    """How many are being killed: they serve nobody, and still take room."""
    failed: int = 0
    """How many of its tasks ended by themselves since the deployment began."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """What an edge that lives says about one route; one that Consul calls dead is in no list of these."""

    name: str
    generation: int | None
    """Of the configuration that nginx runs with; None where the edge does not answer."""
    older: int = 0
    """Workers with an older generation of the route that still finish their connections."""
    connections: int = 0
    """Which those workers have with the route's instances."""


@dataclass(frozen=True, kw_only=True)
class RouteState:
    """The document that edges read: `clustermesos/routes/NAME`."""

    generation: int = 0
    weights: Mapping[str, int] = field(default_factory=dict)
    """Version → its share of requests; relative numbers."""
    drain: frozenset[str] = frozenset()
    """Tasks that get no new request."""


Analysis = Literal["good", "bad", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the analysis of a canary says, and why."""

    says: Analysis = "undecided"
    why: str = "nothing was measured yet"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What has to outlive the process: `clustermesos/deployments/NAME`. Times are seconds since 1970."""

    version: str | None = None
    """Which one is or was deployed last."""
    floor: int = 0
    """How many instances served when the deployment began: never fewer until it is done."""
    began: float = 0.0
    progressed: float = 0.0
    """When the last instance became happy, or the last old one went."""
    most: int = 0
    """The most happy instances that there were of the version moved to."""
    fewest: int | None = None
    """The fewest instances that were left of all others."""
    drained_at: float | None = None
    """When the newest document took something out of the route."""
    canary_since: float | None = None
    canary_unhappy: float | None = None
    hopeless_since: float | None = None
    """Since when no agent could take what is missing, even if it were empty."""
    promoted: bool = False
    paused: bool = False
    turned: str | None = None
    """Why this deployment goes back; None while it goes forward."""
    done: bool = True
    settled: str | None = None
    """The last version whose deployment succeeded."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Version → why its deployment turned round; it is not tried again by itself."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Everything that is seen of one contract at one time."""

    now: float
    versions: Mapping[str, Version] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    route: RouteState = RouteState()
    progress: Progress = Progress()
    judgement: Judgement = Judgement()
    hopeless: str | None = None
    """Why no agent that there is can ever take an instance of the wanted version; None while one could."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a contract asks for, of one version."""

    version: str
    count: int
    deployment: Deployment
    routed: bool = True
    """Whether edges send requests: only then is a route written and a drain confirmed."""
