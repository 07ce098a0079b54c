"""What a strategy answers: the next things to do, how it ended, or what it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from constructs_lib.hooks.observed import Progress


@dataclass(frozen=True, kw_only=True)
class Create:
    """Make the wanted version's app with so many instances."""

    version: str
    instances: int


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Tell Marathon another number. Below what runs only to end all: Marathon does not choose who goes."""

    version: str
    instances: int
    cut: int = 0
    """As in Kill."""


@dataclass(frozen=True, kw_only=True)
class SetRoute:
    """Write the next generation of the route."""

    weights: Mapping[str, int]
    drain: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Kill:
    """End tasks that no edge sends anything to, and ask for that many fewer (`scale=true`)."""

    version: str
    tasks: frozenset[str]
    cut: int = 0
    """Connections of older workers that `drain_timeout` did not wait for."""


@dataclass(frozen=True, kw_only=True)
class Delete:
    """Take away the app of a version that has no instance left."""

    version: str


Action = Create | Scale | SetRoute | Kill | Delete


@dataclass(frozen=True, kw_only=True)
class Wait:
    """What has to happen before the next step."""

    what: str
    until: float | None = None
    """When the deployment stops waiting for it; None where only a person ends it."""
    person: bool = False
    """Whether somebody has to do something: promote or resume."""


@dataclass(frozen=True, kw_only=True)
class End:
    """How a deployment ended: the wanted version runs, or the former one again, or it gave up as it is."""

    good: bool
    why: str
    gave_up: bool = False
    """True where even going back did not end in time."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What to do now, in this order: store `progress`, then do `actions`."""

    progress: Progress
    actions: tuple[Action, ...] = ()
    wait: Wait | None = None
    end: End | None = None
