"""What a component declares to be an alarm; `plan/alerts.py` makes Prometheus' rules of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert rule of the platform itself, evaluated by Prometheus of each site that has the component.

    In `expr`, `$job` is the label matcher of the jobs that read the component's `port`, `$units` a regular
    expression of the units that the site's components start, and `$agents`, there and in `summary`, the least
    number of agents that the site has.
    """

    name: str
    expr: str
    summary: str
    """One line; `{{ $labels.instance }}` and `{{ $value }}` stand for what it is about."""
    next: str
    """What to do first."""
    port: str | None = None
    """The port whose metrics it needs: where Prometheus does not read them there is no rule."""
    wait: str = "5m"
    """How long it has to be so."""
    severity: Literal["page", "ticket"] = "page"
    agents: bool = False
    """True makes no rule for a site without agents."""
