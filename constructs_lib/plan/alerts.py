"""The platform's own alert rules for one site, made of what its components declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from constructs_lib.components import COMPONENTS
from constructs_lib.components.alert import Alert
from constructs_lib.components.model import Component, Role
from constructs_lib.plan.model import SitePlan


def platform_rules(plan: SitePlan) -> tuple[dict[str, Any], ...]:
    """Groups of a Prometheus rule file, one for each component of the site that declares alerts."""
    running = [component for component in COMPONENTS if _runs(plan, component)]
    units = _units(running)
    found = {component.name: list(_rules(plan, component, units)) for component in running}
    return tuple({"name": name, "rules": rules} for name, rules in found.items() if rules)


def _runs(plan: SitePlan, component: Component) -> bool:
    roles = {node.role for node in plan.nodes} | ({Role.AGENT} if plan.pools else set())
    return plan.has(component) and not roles.isdisjoint(component.roles)


def _units(components: Iterable[Component]) -> str:
    """A regular expression of what has to be active wherever it is.

    A dot is any character in it, which confuses no two units. Without components that are on nodes under a
    condition: where rsyslog sends nothing it is the machine's owner's to stop.
    """
    return "|".join(unit for one in components if not one.only_where for unit in one.units)


def _rules(plan: SitePlan, component: Component, units: str) -> Iterator[dict[str, Any]]:
    agents = sum(pool.min for pool in plan.pools)
    for alert in component.alerts:
        if not _read(plan, component, alert) or (alert.agents and not agents):
            continue
        # As nodes/metrics.py names the jobs.
        job = f'job=~"{component.name}-{alert.port}(-agents)?"'
        yield {
            "alert": alert.name,
            "expr": _filled(alert.expr, {"$job": job, "$agents": str(agents), "$units": units}),
            "for": alert.wait,
            "labels": {"severity": alert.severity, "component": component.name},
            "annotations": {
                "summary": _filled(alert.summary, {"$agents": str(agents)}),
                "description": f"Next: {alert.next}",
            },
        }


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def _read(plan: SitePlan, component: Component, alert: Alert) -> bool:
    if alert.port is None:
        return True
    return component.port(alert.port).metrics_from in (None, plan.software[component.name].source)
