"""What the edges say: which generation of each route nginx runs with, and who still finishes an older one.

Every edge is asked by itself, all at the same time. One that does not answer is silent as long as Consul
counts its node among those that live, and gone after that: then it sends nobody a request either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from constructs_lib.hooks.api_error import AWAY, ApiError
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.http import Client

ASK_SECONDS = 5.0
_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class EdgeReport:
    """One edge's `/state`; `routes` is None where a live edge does not answer."""

    name: str
    routes: Mapping[str, Mapping[str, Any]] | None
    problems: Mapping[str, str]
    """Route → why nginx does not have its newest document."""


class Edges(Protocol):
    """Whoever knows the edges."""

    def look(self) -> tuple[EdgeReport, ...]:
        """Every edge that lives."""


class PlannedEdges:
    """The edges of the plan, asked over HTTP."""

    def __init__(self, endpoints: Endpoints, sites: Mapping[str, Consul], deadline: Deadline) -> None:
        self._endpoints = endpoints
        self._sites = sites
        self._deadline = deadline

    def look(self) -> tuple[EdgeReport, ...]:
        """One request to each, and two to Consul of each site with an edge that is silent."""
        edges = [
            edge
            for program, instances in self._endpoints.instances.items()
            if program.startswith("edge/")
            for edge in instances
        ]
        if not edges:
            return ()
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            said = list(pool.map(self._ask, edges))
        silent = [edge for edge, report in zip(edges, said, strict=True) if report.routes is None]
        gone = {(edge.site, edge.node) for edge in silent} - self._living(silent)
        return tuple(
            report
            for edge, report in zip(edges, said, strict=True)
            if report.routes is not None or (edge.site, edge.node) not in gone
        )

    def _ask(self, edge: Instance) -> EdgeReport:
        bounded = self._deadline.within(ASK_SECONDS)
        client = Client(self._endpoints.one("edge", edge), bounded, patient=False)
        name = f"{edge.node}.{edge.site}"
        try:
            told = client.get("/state").body
            routes, problems = dict(told["routes"]), dict(told["problems"])
        except (ApiError, LookupError, TypeError, ValueError):
            return EdgeReport(name=name, routes=None, problems={})
        finally:
            client.close()
        return EdgeReport(name=name, routes=routes, problems=problems)

    def _living(self, edges: Sequence[Instance]) -> set[tuple[str, str]]:
        """Site and node of all that Consul counts as alive, at the sites of these edges."""
        found: set[tuple[str, str]] = set()
        for site in {edge.site for edge in edges} & self._sites.keys():
            here = {edge.node for edge in edges if edge.site == site}
            found |= {(site, node) for node in _living_at(self._sites[site], here)}
        return found


def _living_at(consul: Consul, edges: set[str]) -> set[str]:
    """Nodes that live; where Consul is as silent as these edges, they may as well send requests."""
    try:
        nodes = {str(node["Node"]) for node in consul.catalog.nodes()[1]}
        return nodes - {str(one["Node"]) for one in consul.health.state("critical")[1] if is_serf(one)}
    except ApiError as error:
        if error.kind not in AWAY:
            raise
        return edges


def is_serf(check: Mapping[str, Any]) -> bool:
    """Whether the check is Consul's own: does the node live."""
    return check.get("CheckID") == "serfHealth"
