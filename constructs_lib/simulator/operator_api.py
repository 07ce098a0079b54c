"""Mesos' v1 operator API (`POST /api/v1`, JSON), as far as rolling and draining agents needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constructs_lib.simulator.agents import Agent, Members, is_connected
from constructs_lib.simulator.double import MESOS_VERSION
from constructs_lib.simulator.web import Answer, Question


class _BadCallError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.answer = Answer(status, text)


def _call(question: Question) -> tuple[str, Mapping[str, Any]]:
    """Type and arguments of a call."""
    if question.method != "POST":
        raise _BadCallError(405, f"Expecting one of {{ 'POST' }}, but received '{question.method}'")
    if not question.headers.get("content-type", "").startswith("application/json"):
        raise _BadCallError(415, "Expecting 'Content-Type' of application/json (a double reads no protobuf)")
    try:
        call = question.json()
    except ValueError as error:
        raise _BadCallError(400, f"Failed to parse body into JSON: {error}") from None
    kind = call.get("type") if isinstance(call, dict) else None
    asked = call.get(str(kind).lower(), {}) if isinstance(call, dict) else {}
    return str(kind), asked if isinstance(asked, dict) else {}


class OperatorApi:
    """GET_HEALTH, GET_AGENTS, DRAIN_AGENT, DEACTIVATE_AGENT, REACTIVATE_AGENT and MARK_AGENT_GONE."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def answer(self, question: Question) -> Answer:
        """The answer to one call; an unknown type is refused as Mesos refuses it."""
        try:
            return self._answer(question)
        except _BadCallError as bad:
            return bad.answer

    def _answer(self, question: Question) -> Answer:
        kind, asked = _call(question)
        if kind == "GET_HEALTH":
            return Answer(200, {"type": kind, "get_health": {"healthy": True}})
        if kind == "GET_AGENTS":
            agents = [_agent(agent) for agent in self._members.listed()[0]]
            return Answer(200, {"type": kind, "get_agents": {"agents": agents}})
        changes = {
            "DRAIN_AGENT": self._drain,
            "DEACTIVATE_AGENT": self._deactivate,
            "REACTIVATE_AGENT": self._reactivate,
            "MARK_AGENT_GONE": self._gone,
        }
        if kind not in changes:
            raise _BadCallError(400, f"Failed to parse body into Call protobuf: no call type {kind!r}")
        id = asked.get("agent_id", {}).get("value")
        if not isinstance(id, str):
            raise _BadCallError(
                400, f"Failed to validate master::Call: Expecting '{kind.lower()}' with 'agent_id'"
            )
        agent = self._members.agents.get(id)
        if agent is None:
            raise _BadCallError(404 if kind == "MARK_AGENT_GONE" else 400, f"Unknown agent {id}")
        return changes[kind](agent, asked)

    def _drain(self, agent: Agent, asked: Mapping[str, Any]) -> Answer:
        config: dict[str, Any] = {"mark_gone": bool(asked.get("mark_gone", False))}
        if "max_grace_period" in asked:
            config["max_grace_period"] = asked["max_grace_period"]
        # Nothing runs on a double's agent, so that it is drained at once.
        agent.drain = {"state": "DRAINED", "config": config}
        agent.deactivated = True
        return self._gone(agent, asked) if config["mark_gone"] else Answer(200)

    def _deactivate(self, agent: Agent, _asked: Mapping[str, Any]) -> Answer:
        agent.deactivated = True
        return Answer(200)

    def _reactivate(self, agent: Agent, _asked: Mapping[str, Any]) -> Answer:
        if agent.drain is not None and agent.drain["state"] == "DRAINING":
            return Answer(400, f"Agent {agent.id} is still in the DRAINING state")
        agent.deactivated, agent.drain = False, None
        return Answer(200)

    def _gone(self, agent: Agent, _asked: Mapping[str, Any]) -> Answer:
        self._members.mark_gone(agent.id)
        return Answer(200)


def _agent(agent: Agent) -> dict[str, Any]:
    info = agent.info
    return {
        "agent_info": {
            "id": {"value": agent.id},
            "hostname": info.get("hostname"),
            "port": info.get("port"),
            "attributes": [
                {"name": name, "type": "TEXT", "text": {"value": value}}
                for name, value in info.get("attributes", {}).items()
            ],
            "domain": info.get("domain"),
        },
        "active": is_connected(agent) and not agent.deactivated,
        "deactivated": agent.deactivated,
        "version": MESOS_VERSION,
        "pid": info.get("pid"),
        "registered_time": {"nanoseconds": int(agent.registered * 1e9)},
        "total_resources": [
            {"name": name, "type": "SCALAR", "scalar": {"value": value}, "role": "*"}
            for name, value in info.get("resources", {}).items()
            if isinstance(value, float)
        ],
        **({"drain_info": agent.drain} if agent.drain else {}),
    }


def resources_text(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Resources as `/slaves` shows them: numbers, and ranges as `[31000-32000]`."""
    shown: dict[str, Any] = {"cpus": 0.0, "mem": 0.0, "disk": 0.0, "gpus": 0.0}
    for name, value in resources.items():
        shown[name] = (
            "[" + ", ".join(f"{low}-{high}" for low, high in value) + "]"
            if isinstance(value, list)
            else value
        )
    return shown
