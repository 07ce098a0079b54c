"""What Mesos agents count of their containers: CPU seconds and memory, task by task.

Source: ClusterD 1.11's `src/slave/http.cpp` (`/containers`: an entry for each executor, without `statistics`
where the agent could not count just then) and `containerizer/docker.cpp` (`usage`: of cgroup v2 the times,
and as `mem_rss_bytes` the anonymous memory). The executor of a command task is called as its task.
`/containers` has no rate limit, unlike `/monitor/statistics`. Reading needs no password.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.http import Client
from constructs_lib.hooks.mesos import Mesos
from constructs_lib.plan.model import ClusterPlan

ASK_SECONDS = 10.0
_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One container's counters; `at` is the agent's own time, in seconds since 1970."""

    at: float
    cpu_seconds: float
    memory_bytes: float


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What the agents said at one time."""

    samples: Mapping[str, Sample] = field(default_factory=dict)
    """By task."""
    silent: Mapping[str, str] = field(default_factory=dict)
    """Agent's id → why nothing is known of its tasks."""


class Agents:
    """The agents of one platform; they are found through Mesos' leading master."""

    def __init__(self, plan: ClusterPlan, mesos: Mesos, endpoints: Endpoints, deadline: Deadline) -> None:
        self._plan = plan
        self._mesos = mesos
        self._endpoints = endpoints
        self._deadline = deadline

    def count(self, ids: Collection[str]) -> Counted:
        """Ask each of these agents once, at the same time; ApiError where the master does not answer."""
        if not ids:
            return Counted()
        registered = {str(one.get("id")): one for one in self._mesos.agents()}
        silent = {id: f"agent {id} is not registered at Mesos" for id in set(ids) - set(registered)}
        asked = {id: _instance(registered[id], self._plan) for id in sorted(set(ids) & set(registered))}
        samples: dict[str, Sample] = {}
        with self._endpoints.reaching(list(asked.values())) as endpoints:
            with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
                said = pool.map(lambda agent: self._ask(endpoints, agent), asked.values())
            for id, found in zip(asked, said, strict=True):
                if isinstance(found, str):
                    silent[id] = found
                else:
                    samples |= found
        return Counted(samples=samples, silent=silent)

    def _ask(self, endpoints: Endpoints, agent: Instance) -> dict[str, Sample] | str:
        if agent.where in endpoints.lost:
            return f"agent {agent.node}: {endpoints.lost[agent.where]}"
        client = Client(
            endpoints.one("mesos agent", agent), self._deadline.within(ASK_SECONDS), patient=False
        )
        try:
            return _samples(agent.node, client.get("/containers").body)
        except ApiError as error:
            return f"agent {agent.node}: {error.said}"
        finally:
            client.close()


def _instance(agent: Mapping[str, Any], plan: ClusterPlan) -> Instance:
    """Where an agent answers: its process id is `slave(1)@10.20.64.10:5051`."""
    address, _, port = str(agent.get("pid", "")).partition("@")[2].rpartition(":")
    home = next(iter(plan.sites.values())).home
    domain = (agent.get("domain") or {}).get("fault_domain") or {}
    region = str((domain.get("region") or {}).get("name"))
    return Instance(
        node=str(agent.get("hostname", address)),
        site=region if region in plan.sites else home,
        address=address,
        port=int(port) if port.isdecimal() else 0,
    )


def _samples(agent: str, body: object) -> dict[str, Sample] | str:
    if not isinstance(body, list):
        return f"agent {agent}: got {type(body).__name__} where a list of containers is expected"
    found = {}
    for entry in body:
        sample = _sample(entry.get("statistics")) if isinstance(entry, dict) else None
        if sample is not None:
            found[str(entry.get("executor_id"))] = sample
    return found


def _sample(statistics: object) -> Sample | None:
    """None where the agent could not count: a number that is missing is not 0."""
    if not isinstance(statistics, dict):
        return None
    names: Sequence[str] = ("timestamp", "cpus_user_time_secs", "cpus_system_time_secs", "mem_rss_bytes")
    numbers = [statistics.get(name) for name in names]
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in numbers):
        return None
    at, user, system, memory = (float(one) for one in numbers if one is not None)
    return Sample(at=at, cpu_seconds=user + system, memory_bytes=memory)
