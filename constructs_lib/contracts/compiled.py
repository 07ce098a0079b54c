"""What contracts compile to, and all that the hooks know of them: plain data, JSON where it is sent.

Source of the bodies: Marathon 1.10's RAML (`/v2/apps`), Chronos 3.0's `Jobs.scala`, Prometheus' rule files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

LABEL: Final = "clustermesos"
"""Prefix of the labels that say whose an app is: `clustermesos/cluster`, `/contract`, `/version`."""
KV_PREFIX: Final = "clustermesos/"
"""Everything of ours in Consul's key/value store lies below."""

StrategyName = Literal["rolling", "blue-green", "canary", "recreate"]
Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How the number of instances follows load: `signal` is held at `target` between `min` and `max`."""

    signal: str
    """cpu, memory, or a PromQL expression that gives 0..1 per instance."""
    target: float
    offset: float = 0.0
    """The signal of an instance that serves nobody."""


@dataclass(frozen=True, kw_only=True)
class Instances:
    """How many instances there may be; `min` are started first."""

    min: int
    max: int
    scaling: Scaling | None = None


@dataclass(frozen=True, kw_only=True)
class CanaryCheck:
    """A PromQL expression over the canary that has to stay within its bounds."""

    name: str
    query: str
    lower: float | None = None
    upper: float | None = None
    dry_run: bool = False
    """True only tells, and never turns a deployment round."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How one version replaces another. All times are seconds."""

    strategy: StrategyName
    min_healthy: float = 10.0
    """How long an instance has to be healthy before it counts."""
    progress_deadline: float = 600.0
    """How long without another happy instance until the deployment turns round."""
    drain_timeout: float = 60.0
    on_drain_timeout: Literal["wait", "cut"] = "cut"
    surge: int = 1
    """Rolling: how many instances beyond the wanted number are started at once."""
    canary_percent: int = 5
    canary_instances: int = 1
    canary_seconds: float = 600.0
    canary_min_requests: int = 100
    promote: Literal["automatic", "manual"] = "automatic"
    checks: tuple[CanaryCheck, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where the edge answers for the application."""

    host: str
    path: str
    service: str
    """The name in Consul."""
    smoke: str | None = None
    """The path that a smoke test asks through the edge, expecting 200."""


@dataclass(frozen=True, kw_only=True)
class AppVersion:
    """One version as Marathon runs it."""

    id: str
    """`/shop/1a2b3c4d`."""
    version: str
    """Eight hexadecimal digits of the hash of `body`."""
    body: Json
    """Of `PUT /v2/apps/ID`, without `instances`, which the strategy decides."""
    checked: bool
    """Whether it has a health check: without one running is all that can be known."""


@dataclass(frozen=True, kw_only=True)
class CompiledContract:
    """One contract, ready for the hooks."""

    name: str
    cluster: str
    owner: str
    app: AppVersion
    instances: Instances
    deployment: Deployment
    depends_on: tuple[str, ...] = ()
    route: Route | None = None
    service: str | None = None
    """The name in Consul, None where nothing is offered."""
    jobs: tuple[Json, ...] = ()
    """Bodies of `POST …/iso8601` (they have `schedule`) and `…/dependency` (they have `parents`)."""
    restores: tuple[Json, ...] = ()
    """Jobs without a schedule that put a snapshot back, one for each node with data; then those that load."""
    stops_to_restore: bool = False
    """Whether a restore writes a volume, which the application must not have open meanwhile."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Consul key below `clustermesos/settings/` → value, written in every site."""
    rules: tuple[Json, ...] = ()
    """Groups of a Prometheus rule file."""
    rule_sites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Group's name → the sites whose Prometheus has what it asks for; every site where it is not named."""
    targets: tuple[Json, ...] = ()
    """Scrape targets in the form of `file_sd_configs`."""

    def rules_at(self, site: str) -> tuple[Json, ...]:
        """The groups that a site's Prometheus reads: what is elsewhere would look as if it were down."""
        return tuple(
            group for group in self.rules if site in self.rule_sites.get(str(group["name"]), (site,))
        )


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """All contracts of a cluster, those that others need before these."""

    cluster: str
    contracts: tuple[CompiledContract, ...]

    def contract(self, name: str) -> CompiledContract | None:
        """The contract called `name`, or None."""
        return next((one for one in self.contracts if one.name == name), None)
