"""The HTTP endpoints of a master's double: the ones that health checks, gates and hooks use."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from constructs_lib.simulator.agents import Agent, Framework, is_connected
from constructs_lib.simulator.credentials import is_known
from constructs_lib.simulator.double import MESOS_VERSION, notice
from constructs_lib.simulator.mesos_process import shown, version
from constructs_lib.simulator.mesos_shapes import agent_shape, framework_shape
from constructs_lib.simulator.operator_api import OperatorApi, resources_text
from constructs_lib.simulator.replicated_log import STATUS_PATH
from constructs_lib.simulator.web import Answer, Question, may, unauthorized

if TYPE_CHECKING:
    from constructs_lib.simulator.mesos_master import Master

_READ_ONLY = "mesos-master-readonly"
_READ_WRITE = "mesos-master-readwrite"
_BY_LEADER = ("/state", "/slaves", "/frameworks", "/roles", "/state-summary", "/tasks", "/weights", "/quota")


class MasterApi:
    """Answers for one master."""

    def __init__(self, master: Master) -> None:
        self._master = master
        self._operator = OperatorApi(master.members)
        self._open: dict[str, Callable[[], Answer]] = {
            "/health": lambda: Answer(200),
            "/version": lambda: Answer(200, version("mesos-master")),
            "/redirect": self._to_leader_itself,
        }
        self._guarded: dict[str, Callable[[], Any]] = {
            "/state": self._state,
            "/state-summary": self._state,
            "/slaves": lambda: {"slaves": self._agents(), "recovered_slaves": []},
            "/frameworks": lambda: {"frameworks": self._frameworks(), "completed_frameworks": []},
            "/roles": self._roles,
            "/tasks": lambda: {"tasks": []},
            "/weights": list,
            "/quota": lambda: {"infos": []},
            "/flags": lambda: {"flags": shown(master.settings.flags)},
            "/metrics/snapshot": self._metrics,
        }

    def answer(self, question: Question) -> Answer:
        """The answer of the real path, or of the doubles' own below `/double/`."""
        if question.path == STATUS_PATH:
            return Answer(200, {"status": self._master.replica.status})
        if question.path.startswith("/double/"):
            return self._member(question)
        path = question.path.removeprefix("/master") or "/"
        if path == "/api/v1":
            return self._v1(question)
        if path in self._open:
            return self._open[path]()
        return self._guarded_answer(path, question) if path in self._guarded else Answer(404)

    def _guarded_answer(self, path: str, question: Question) -> Answer:
        if path in _BY_LEADER and (instead := self._instead(question)) is not None:
            return instead
        logins = self._master.settings.logins
        if logins.read_only and not may(question, logins.known):
            return unauthorized(_READ_ONLY)
        return Answer(200, self._guarded[path]())

    def _instead(self, question: Question) -> Answer | None:
        """What a master answers that does not lead, or leads without its registry; None when it leads."""
        state = self._master.leadership
        if state.leading:
            return None if state.recovered else Answer(503, "Master has not finished recovering its registry")
        if state.leader is None:
            return Answer(503, "No leader elected")
        return Answer(307, "", {"Location": f"{self._leader_url()}{question.raw}"})

    def _leader_url(self) -> str:
        leader = self._master.leadership.leader or {}
        return f"//{leader.get('hostname')}:{leader.get('port')}"

    def _to_leader_itself(self) -> Answer:
        if self._master.leadership.leader is None:
            return Answer(503, "No leader elected")
        return Answer(307, "", {"Location": self._leader_url()})

    def _v1(self, question: Question) -> Answer:
        logins = self._master.settings.logins
        if logins.read_write and not may(question, logins.known):
            return unauthorized(_READ_WRITE)
        if (instead := self._instead(question)) is not None:
            return instead
        return self._operator.answer(question)

    def _member(self, question: Question) -> Answer:
        """An agent or framework that registers, or is still there: doubles only."""
        if (instead := self._instead(question)) is not None:
            return instead
        asked = question.json()
        id, info = asked.get("id"), asked["info"]
        master, settings = self._master, self._master.settings
        is_agent = question.path == "/double/agent"
        needed = settings.flags.get("authenticate_agents" if is_agent else "authenticate_frameworks", False)
        principal = info.get("principal")
        asked_to_log_in = needed or (principal and settings.principals)
        if asked_to_log_in and not is_known(settings.principals, principal, asked.get("secret")):
            master.log(f"Refused authentication of {principal or 'somebody without a principal'}", "W")
            return Answer(401, "refused authentication")
        if not self._authorized(is_agent, principal, info):
            master.log(f"Refused registration of {principal}: not authorized by --acls", "W")
            return Answer(403, "not authorized")
        if id in master.members.gone:
            return Answer(410, "this agent was marked gone")
        member, new = master.members.agent(id, info) if is_agent else master.members.framework(id, info)
        if new:
            what = "agent" if is_agent else "framework"
            master.log(
                f"{'Re-registered' if id else 'Registered'} {what} {member.id} at {info.get('hostname')}"
            )
        return Answer(200, {"id": member.id, "drain": getattr(member, "drain", None)})

    def _authorized(self, is_agent: bool, principal: str | None, info: dict[str, Any]) -> bool:
        acls = self._master.settings.acls
        if is_agent:
            return acls.allow("register_agents", principal, agents="")
        return acls.allow("register_frameworks", principal, roles=info.get("role") or "*")

    def _state(self) -> dict[str, Any]:
        master = self._master
        agents, frameworks = master.members.listed()
        connected = [agent for agent in agents if is_connected(agent)]
        return {
            "double": notice("mesos-master"),
            "version": MESOS_VERSION,
            "id": master.id,
            "pid": master.info()["pid"],
            "hostname": master.settings.place.hostname,
            "cluster": master.settings.flags.get("cluster", ""),
            "leader": (master.leadership.leader or {}).get("pid"),
            "leader_info": master.leadership.leader,
            "elected_time": master.leadership.elected_at,
            "start_time": master.started,
            "activated_slaves": len(connected),
            "deactivated_slaves": len(agents) - len(connected),
            "unreachable_slaves": master.members.unreachable,
            "flags": shown(master.settings.flags),
            "slaves": self._agents(),
            "recovered_slaves": [],
            "frameworks": [_framework(framework) for framework in frameworks],
            "completed_frameworks": [],
            "orphan_tasks": [],
        }

    def _agents(self) -> list[dict[str, Any]]:
        return [_agent(agent) for agent in self._master.members.listed()[0]]

    def _frameworks(self) -> list[dict[str, Any]]:
        return [_framework(framework) for framework in self._master.members.listed()[1]]

    def _roles(self) -> dict[str, Any]:
        by_role: dict[str, list[str]] = {"*": []}
        for framework in self._master.members.listed()[1]:
            by_role.setdefault(framework.info.get("role") or "*", []).append(framework.id)
        return {
            "roles": [
                {"name": name, "weight": 1.0, "frameworks": ids, "resources": {}}
                for name, ids in by_role.items()
            ]
        }

    def _metrics(self) -> dict[str, float]:
        master, state = self._master, self._master.leadership
        agents, frameworks = master.members.listed()
        alive = sum(is_connected(agent) for agent in agents)
        active = sum(is_connected(framework) for framework in frameworks)
        return {
            "master/elected": float(state.leading),
            "master/uptime_secs": time.time() - master.started,
            "master/slaves_active": float(sum(is_connected(a) and not a.deactivated for a in agents)),
            "master/slaves_connected": float(alive),
            "master/slaves_disconnected": float(len(agents) - alive),
            "master/slaves_inactive": float(len(agents) - alive),
            "master/slaves_unreachable": float(master.members.unreachable),
            "master/frameworks_active": float(active),
            "master/frameworks_connected": float(active),
            "master/frameworks_disconnected": float(len(frameworks) - active),
            "master/tasks_running": 0.0,
            "registrar/log/recovered": float(master.replica.voting),
            "registrar/log/ensemble_size": float(2 * master.settings.quorum - 1),
        }


def _agent(agent: Agent) -> dict[str, Any]:
    info = agent.info
    return agent_shape(
        id=agent.id,
        hostname=info.get("hostname"),
        port=info.get("port"),
        pid=info.get("pid"),
        active=is_connected(agent) and not agent.deactivated,
        deactivated=agent.deactivated,
        attributes=info.get("attributes", {}),
        resources=resources_text(info.get("resources", {})),
        used=resources_text({}),
        domain=info.get("domain"),
        drain=agent.drain,
        registered=agent.registered,
        reregistered=agent.reregistered,
    )


def _framework(framework: Framework) -> dict[str, Any]:
    info = framework.info
    return framework_shape(
        id=framework.id,
        name=info.get("name"),
        hostname=info.get("hostname"),
        url=info.get("webui_url"),
        principal=info.get("principal"),
        role=info.get("role", "*"),
        user=info.get("user", "root"),
        active=is_connected(framework),
        failover_timeout=info.get("failover_timeout", 0),
        registered=framework.registered,
        reregistered=framework.reregistered,
        tasks=[],
        used=resources_text({}),
    )
