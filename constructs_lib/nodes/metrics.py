"""What Prometheus on a Consul node reads: one job for every port that is declared with `metrics`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import Component, Port, Role
from constructs_lib.plan.model import SitePlan


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """One job: `targets` are address:port of planned nodes; `service` is the agents' name in Consul."""

    component: str
    name: str
    path: str
    targets: tuple[str, ...] = ()
    service: str | None = None


def scrapes(plan: SitePlan, here: Collection[str]) -> tuple[Scrape, ...]:
    """Jobs in the components' order; `here` names the components of the node that Prometheus runs on.

    A port that Consul nodes may not reach is read on this node alone.
    """
    return tuple(
        job
        for component in COMPONENTS
        for port in component.ports
        if port.metrics is not None and port.metrics_from in (None, plan.software[component.name].source)
        for job in _jobs(plan, here, component, port, port.metrics)
    )


def _jobs(
    plan: SitePlan, here: Collection[str], component: Component, port: Port, path: str
) -> Iterator[Scrape]:
    name = f"{component.name}-{port.name}"
    targets = tuple(f"{address}:{port.number}" for address in _addresses(plan, here, component, port))
    if targets:
        yield Scrape(component=component.name, name=name, path=path, targets=targets)
    if Role.AGENT in (component.roles if port.on is None else port.on) and Role.CONSUL in port.reached_by:
        # As cloud-init/consul/consul.json.j2 registers it.
        service = f"metrics-{port.number}.service.consul"
        yield Scrape(component=component.name, name=f"{name}-agents", path=path, service=service)


def _addresses(plan: SitePlan, here: Collection[str], component: Component, port: Port) -> Iterator[str]:
    roles = component.roles if port.on is None else port.on
    if Role.CONSUL not in port.reached_by:
        if Role.CONSUL in roles and component.name in here:
            yield "127.0.0.1"
        return
    for node in plan.nodes:
        if node.role in roles and (node.number == 1 or not component.first_node_only):
            yield str(node.address)
