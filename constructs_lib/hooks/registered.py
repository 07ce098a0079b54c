"""What Consul and the edges know of instances that Marathon calls healthy, by address and port.

The address and the port are what Marathon, Registrator and nginx all know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from constructs_lib.hooks.edge import EdgeReport

Endpoint = tuple[str, int]
_MOST_WORDS = 120


@dataclass(frozen=True, kw_only=True)
class Registered:
    """One instance of a service in Consul."""

    id: str
    passing: bool
    says: str = field(default="", compare=False)
    """The first check that does not pass, in words."""


@dataclass(frozen=True, kw_only=True)
class Lack:
    """Why an instance that Marathon calls healthy gets no requests, and where to look."""

    why: str
    helps: str


def by_endpoint(entries: Sequence[Mapping[str, Any]]) -> dict[Endpoint, Registered]:
    """One datacenter's answer of `/v1/health/service/…` by address and port.

    An entry whose container died may stay, its checks as they were last, while its port has a new owner. Only
    one process has a port at a time, so that the entry that was made last is the one that lives.
    """
    found = {}
    for one in sorted(entries, key=lambda one: int(one["Service"].get("CreateIndex", 0))):
        service = one["Service"]
        address = service.get("Address") or one["Node"]["Address"]
        bad = next((check for check in one["Checks"] if check.get("Status") != "passing"), None)
        found[str(address), int(service["Port"])] = Registered(
            id=str(service["ID"]), passing=bad is None, says=_words(bad) if bad else ""
        )
    return found


def registered(task: Mapping[str, Any], known: Mapping[Endpoint, Registered]) -> Registered | None:
    """A task's entry in Consul; None where it has none, or none yet."""
    where = ((str(task.get("host")), int(port)) for port in task.get("ports") or ())
    return next((known[each] for each in where if each in known), None)


def lack(
    route: str, task: Mapping[str, Any], service: Registered | None, reports: Sequence[EdgeReport]
) -> Lack | None:
    """What is missing until every edge that has the route sends requests to the task; None for nothing."""
    host = task.get("host")
    if service is None:
        return Lack(why="is not registered in Consul", helps=f"on {host}, sudo journalctl -u registrator")
    if not service.passing:
        helps = f"its output: on {host}, sudo docker ps --all, sudo docker logs"
        return Lack(why=f"fails in Consul: {service.says}", helps=helps)
    for report in reports:
        told = (report.routes or {}).get(route)
        if told is not None and service.id not in told.get("instances", ()):
            helps = f"on {report.name}, sudo journalctl -u consul-template"
            return Lack(why=f"is not known to the edge {report.name}", helps=helps)
    return None


def _words(check: Mapping[str, Any]) -> str:
    """A check's name, state and first line, without what the application answered: that may be anything."""
    first = str(check.get("Output") or "").strip().partition("\n")[0].partition(" Output: ")[0]
    text = f"{check.get('Name') or 'a check'} is {check.get('Status')}"
    return f"{text}: {first[:_MOST_WORDS]}" if first else text
