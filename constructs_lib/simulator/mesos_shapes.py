"""Agents and frameworks as a master shows them (`src/master/http.cpp`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from constructs_lib.simulator.double import MESOS_VERSION


def agent_shape(
    *,
    id: str,
    hostname: str | None,
    port: int | None,
    pid: str | None,
    active: bool,
    deactivated: bool,
    attributes: Mapping[str, Any],
    resources: Mapping[str, Any],
    used: Mapping[str, Any],
    domain: Mapping[str, Any] | None,
    drain: Mapping[str, Any] | None,
    registered: float,
    reregistered: float | None,
) -> dict[str, Any]:
    """An entry of `/slaves`; resources are as `operator_api.resources_text` writes them."""
    return {
        "id": id,
        "hostname": hostname,
        "port": port,
        "pid": pid,
        "version": MESOS_VERSION,
        "active": active,
        "deactivated": deactivated,
        "attributes": attributes,
        "resources": resources,
        "used_resources": used,
        "domain": domain,
        "drain_info": drain,
        "registered_time": registered,
        "reregistered_time": reregistered,
        "capabilities": ["MULTI_ROLE", "AGENT_DRAINING"],
    }


def framework_shape(
    *,
    id: str,
    name: str | None,
    hostname: str | None,
    url: str | None,
    principal: str | None,
    role: str,
    user: str,
    active: bool,
    failover_timeout: float,
    registered: float,
    reregistered: float | None,
    tasks: Sequence[Mapping[str, Any]],
    used: Mapping[str, Any],
    unreachable: Sequence[Mapping[str, Any]] = (),
    completed: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """An entry of `/frameworks`."""
    return {
        "id": id,
        "name": name,
        "hostname": hostname,
        "webui_url": url,
        "principal": principal,
        "role": role,
        "roles": [role],
        "user": user,
        "active": active,
        "connected": active,
        "recovered": False,
        "failover_timeout": failover_timeout,
        "registered_time": registered,
        "reregistered_time": reregistered,
        "tasks": list(tasks),
        "unreachable_tasks": list(unreachable),
        "completed_tasks": list(completed),
        "used_resources": used,
    }
