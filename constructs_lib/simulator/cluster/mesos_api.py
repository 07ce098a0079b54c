"""A Mesos master's HTTP endpoints over the simulated world; a master that does not lead redirects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from constructs_lib.simulator.cluster.agents import Agent
from constructs_lib.simulator.cluster.world import Task, World
from constructs_lib.simulator.double import MESOS_VERSION
from constructs_lib.simulator.mesos_shapes import agent_shape, framework_shape
from constructs_lib.simulator.operator_api import resources_text
from constructs_lib.simulator.web import Answer, Question

NOTICE = "clustermesos simulator: no Mesos, no Marathon, no Chronos"
_BY_LEADER = ("/state", "/slaves", "/frameworks", "/roles", "/state-summary", "/tasks")
_AGENT_PORT = 5051


class MesosApi:
    """Answers of the masters. A new leader has forgotten all tasks that had ended before."""

    reregister_seconds: float = 0.0
    """How long agents take to register at a new leader, which knows of no task until then."""

    def __init__(
        self,
        world: World,
        frameworks: Callable[[], Sequence[dict[str, Any]]],
        leading: Callable[[], str | None],
    ) -> None:
        self._world = world
        self._frameworks = frameworks
        self._leading = leading
        self._began = self._elected = world.now()
        self._forgotten: set[str] = set()

    def new_leader(self) -> None:
        """Another one leads: agents register at it anew."""
        self._elected = max(self._world.now(), self._elected + 0.001)
        self._forgotten = {
            task.id for task in (*self._world.ended, *self._world.tasks.values()) if task.ended
        }

    def answer(self, question: Question, address: str) -> Answer:
        """The answer of the master at `address`."""
        path = question.path.removeprefix("/master") or "/"
        leader = self._leading()
        if (path in ("/redirect", *_BY_LEADER) and leader != address) or path == "/redirect":
            if leader is None:
                return Answer(503, "No leader elected")
            return Answer(307, "", {"Location": f"//{leader}{'' if path == '/redirect' else question.raw}"})
        answers: dict[str, Callable[[], Any]] = {
            "/health": str,
            "/version": lambda: {"version": MESOS_VERSION, "simulator": NOTICE},
            "/state": lambda: self._state(leader),
            "/state-summary": lambda: self._state(leader),
            "/slaves": lambda: {"slaves": self._agents(), "recovered_slaves": self._recovered()},
            "/frameworks": lambda: {"frameworks": list(self._shown()), "completed_frameworks": []},
            "/tasks": lambda: {"tasks": [_task(task) for task in self._world.tasks.values()]},
            "/roles": lambda: {"roles": [{"name": "*", "weight": 1.0}]},
            "/metrics/snapshot": lambda: self._metrics(leader == address),
        }
        return Answer(200, answers[path]()) if path in answers else Answer(404)

    def _state(self, leader: str | None) -> dict[str, Any]:
        host, _, port = (leader or "").partition(":")
        connected = [agent for agent in self._world.agents.values() if agent.presence == "active"]
        return {
            "simulator": NOTICE,
            "version": MESOS_VERSION,
            "id": self._world.id,
            "leader": f"master@{leader}",
            "leader_info": {"hostname": host, "port": int(port or 0)},
            "activated_slaves": len(connected),
            "deactivated_slaves": 0,
            "unreachable_slaves": len(self._world.agents) - len(connected),
            "slaves": self._agents(),
            "frameworks": list(self._shown()),
            "completed_frameworks": [],
            "orphan_tasks": [],
        }

    def _agents(self) -> list[dict[str, Any]]:
        # Whom the master can't reach is no longer listed.
        return [] if self._waits_for_agents() else self._listed()

    def _recovered(self) -> list[dict[str, Any]]:
        return self._listed() if self._waits_for_agents() else []

    def _listed(self) -> list[dict[str, Any]]:
        there = (agent for agent in self._world.agents.values() if agent.presence == "active")
        return [_agent(agent, self._elected) for agent in there]

    def _waits_for_agents(self) -> bool:
        return self._elected > self._began and self._world.now() < self._elected + self.reregister_seconds

    def _shown(self) -> list[dict[str, Any]]:
        return [
            framework_shape(
                id=one["id"],
                name=one["name"],
                hostname=one["hostname"],
                url=one["url"],
                principal=one["principal"],
                role="*",
                user="root",
                active=one["active"],
                failover_timeout=604800,
                registered=self._began,
                reregistered=None,
                tasks=self._tasks(one["kind"], lambda task: not task.ended and not _lost(task)),
                unreachable=self._tasks(one["kind"], _lost),
                completed=self._tasks(one["kind"], lambda task: task.ended),
                used=resources_text({}),
            )
            for one in self._frameworks()
        ]

    def _tasks(self, framework: str, fits: Callable[[Task], bool]) -> list[dict[str, Any]]:
        known = () if self._waits_for_agents() else (*self._world.ended, *self._world.tasks.values())
        mine = (task for task in known if task.framework == framework and task.id not in self._forgotten)
        return [_task(task) for task in mine if fits(task)]

    def _metrics(self, leading: bool) -> dict[str, float]:
        if not leading:
            return {"master/elected": 0.0, "master/uptime_secs": self._world.now() - self._began}
        agents, tasks = self._world.agents.values(), self._world.tasks.values()
        active = sum(agent.presence == "active" for agent in agents)
        frameworks = self._frameworks()
        ended = self._world.ended
        return {
            "master/elected": 1.0,
            "master/uptime_secs": self._world.now() - self._began,
            "master/slaves_active": float(sum(agent.offers for agent in agents)),
            "master/slaves_connected": float(active),
            "master/slaves_disconnected": float(len(agents) - active),
            "master/slaves_unreachable": float(sum(one.presence == "partitioned" for one in agents)),
            "master/frameworks_active": float(sum(one["active"] for one in frameworks)),
            "master/frameworks_connected": float(len(frameworks)),
            "master/cpus_total": sum(agent.cpus for agent in agents),
            "master/cpus_used": sum(agent.used_cpus for agent in agents),
            "master/mem_total": sum(agent.mem for agent in agents),
            "master/mem_used": sum(agent.used_mem for agent in agents),
            "master/tasks_staging": float(sum(task.state == "TASK_STAGING" for task in tasks)),
            "master/tasks_running": float(sum(task.state == "TASK_RUNNING" for task in tasks)),
            "master/tasks_failed": float(sum(task.state == "TASK_FAILED" for task in ended)),
            "registrar/log/recovered": 1.0,
        }


def _agent(agent: Agent, began: float) -> dict[str, Any]:
    total = {
        "cpus": agent.cpus,
        "mem": agent.mem,
        "disk": agent.disk,
        "gpus": agent.gpus,
        "ports": [list(one) for one in agent.ports],
    }
    used = {
        "cpus": agent.used_cpus,
        "mem": agent.used_mem,
        "disk": agent.used_disk,
        "gpus": agent.used_gpus,
    }
    if agent.used_ports:
        used["ports"] = [[port, port] for port in sorted(agent.used_ports)]  # type: ignore[assignment]
    domain = None
    if agent.region is not None:
        domain = {"fault_domain": {"region": {"name": agent.region}, "zone": {"name": agent.zone}}}
    return agent_shape(
        id=agent.id,
        hostname=agent.hostname,
        port=_AGENT_PORT,
        pid=f"slave(1)@{agent.hostname}:{_AGENT_PORT}",
        active=agent.presence == "active" and not agent.deactivated,
        deactivated=agent.deactivated,
        attributes=agent.attributes,
        resources=resources_text(total),
        used=resources_text(used),
        domain=domain,
        drain=None,
        registered=began,
        reregistered=None,
    )


def _lost(task: Task) -> bool:
    return task.state == "TASK_UNREACHABLE"


def _task(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "name": task.owner.strip("/").replace("/", "."),
        "slave_id": task.agent.id,
        "state": task.state,
        "resources": {"cpus": task.cpus, "mem": task.mem, "disk": task.disk, "gpus": task.gpus},
    }
