"""Edges that say what a test has them say."""

from __future__ import annotations

from typing import Any

from constructs_lib.hooks.edge import EdgeReport


class Edges:
    """One report of each edge per look, in order, the last one for ever."""

    def __init__(self, *reports: EdgeReport | tuple[EdgeReport, ...]) -> None:
        self.reports = list(reports)
        self.looks = 0

    def look(self) -> tuple[EdgeReport, ...]:
        self.looks += 1
        said = self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]
        return said if isinstance(said, tuple) else (said,)


def report(
    route: str, generation: int, *, name: str = "edge-1.eu", problem: str = "", **told: Any
) -> EdgeReport:
    """An edge that runs with this generation of the route, or without one where that is 0."""
    routes = {route: {"generation": generation, "older": 0, "connections": 0, **told}} if generation else {}
    return EdgeReport(name=name, routes=routes, problems={route: problem} if problem else {})


def silent(name: str = "edge-1.eu") -> EdgeReport:
    return EdgeReport(name=name, routes=None, problems={})
