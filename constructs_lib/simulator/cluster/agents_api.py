"""Every Mesos agent's HTTP endpoints at one port: the first part of a path is the agent's hostname.

Agents have addresses that this machine has not, so `http://10.20.64.10:5051/containers` is
`/10.20.64.10/containers` here. Shapes: ClusterD 1.11's `src/slave/http.cpp` and `docker.cpp`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from constructs_lib.simulator.cluster.agents import Agent
from constructs_lib.simulator.cluster.usage import Usage
from constructs_lib.simulator.cluster.world import Task, World
from constructs_lib.simulator.web import Answer, Question

_UNREACHABLE = Answer(cut=-1)
_MIB = 1 << 20
_OF_THE_KERNEL = 0.2
"""The share of a task's CPU time that is counted as the system's."""


class AgentsApi:
    """Answers of the agents; one that is gone or cut off closes the connection."""

    def __init__(self, world: World, usage: Usage, framework_id: Callable[[str], str]) -> None:
        self._world = world
        self._usage = usage
        self._framework_id = framework_id

    def answer(self, question: Question, _instance: int) -> Answer:
        """The answer of the agent that the path names."""
        host, _, rest = question.path.lstrip("/").partition("/")
        try:
            agent = self._world.agent(host)
        except KeyError as error:
            return Answer(404, {"message": f"{error.args[0]}; a path begins with the agent's hostname"})
        if agent.presence != "active":
            return _UNREACHABLE
        path = rest.removeprefix("slave(1)/")
        if path == "health":
            return Answer(200, "")
        if path == "containers":
            return Answer(200, self._containers(agent))
        if path == "monitor/statistics":
            counted = [one for one in self._containers(agent) if "statistics" in one]
            return Answer(200, [{k: v for k, v in one.items() if k != "status"} for one in counted])
        return Answer(404)

    def _containers(self, agent: Agent) -> list[dict[str, Any]]:
        return [self._container(task) for task in self._world.on(agent)]

    def _container(self, task: Task) -> dict[str, Any]:
        container = task.id.rpartition("instance-")[2].removesuffix("._app.1")
        use, seconds = self._usage.of(task)
        found: dict[str, Any] = {
            "container_id": container,
            # A command task's executor is called as the task.
            "executor_id": task.id,
            "executor_name": f"Command Executor (Task: {task.id})",
            "framework_id": self._framework_id(task.framework),
            "source": task.id,
            "status": {"container_id": {"value": container}},
        }
        # What has not started yet can't be counted either.
        if use.cpu is not None and task.started_at is not None:
            memory = int(use.memory * task.mem * _MIB)
            found["statistics"] = {
                "cpus_limit": task.cpus,
                "cpus_soft_limit": task.cpus,
                "cpus_system_time_secs": round(seconds * _OF_THE_KERNEL, 6),
                "cpus_user_time_secs": round(seconds * (1 - _OF_THE_KERNEL), 6),
                "mem_anon_bytes": memory,
                "mem_limit_bytes": int(task.mem * _MIB),
                "mem_rss_bytes": memory,
                "timestamp": self._world.now(),
            }
        return found
