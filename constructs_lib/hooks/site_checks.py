"""Is a site ready? Its Consul has a leader, its access lists and all members; its edges serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.finding import Expected, Finding, Question, at_once, client, node_plan

_NO_LISTS = "ACL support disabled"
"""What a Consul without access lists says to whoever asks for them."""
_STATES = {1: "alive", 2: "leaving", 3: "left", 4: "failed"}
"""Serf's, as Consul's `/v1/agent/members` gives them (hashicorp/serf `serf/serf.go`, MemberStatus)."""


def consul_of(program: str) -> Question:
    """The question for `consul/SITE`: a leader, most servers, the token's rights, and every member alive.

    A simulator registers at a Consul that is nobody's site: its members are not asked for, and whoever plays
    with it starts one without access lists.
    """
    site = program.partition("/")[2]

    def consul(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> Finding:
        with client(endpoints.target(program), deadline) as connection:
            api = Consul(connection, expected.tokens.get(site))
            leader, peers = api.status.leader(), api.status.peers()
            if not leader:
                return Finding(check=program, good=False, says="no server leads")
            open_to_all = not _has_lists(api)
            members = None if endpoints.simulator else api.agent.members()
        servers = len(endpoints.instances[program])
        says = f"{leader} leads, {len(peers)} of {servers} servers are peers"
        if members is None:
            return Finding(check=program, good=len(peers) > servers // 2, says=says)
        if open_to_all:
            says = f"{says}; it has no access lists, so that everybody may change everything"
            return Finding(check=program, good=False, says=says, try_next=node_plan("consul-1", endpoints))
        states = {str(one.get("Name")): _STATES.get(one.get("Status"), "unknown") for one in members}
        missing = dict(_missing(states, expected.members.get(site, ()), expected.agents_of(site)))
        living = sum(state == "alive" for state in states.values())
        return Finding(
            check=program,
            good=len(peers) > servers // 2 and not missing,
            says="; ".join((f"{says}, {living} members live", *missing.values())),
            try_next=node_plan(next(iter(missing)), endpoints) if missing else None,
            enough=len(peers) > servers // 2,
        )

    return consul


def _has_lists(api: Consul) -> bool:
    """False where access lists are off. ApiError for whoever has no right, or while they are being made."""
    try:
        api.acl.token.read_self()
    except ApiError as error:
        if error.kind == "unauthorized" and _NO_LISTS in error.said:
            return False
        raise
    return True


def _missing(states: Mapping[str, str], planned: Sequence[str], agents: int) -> Iterator[tuple[str, str]]:
    """Node → what is wrong with it as a member. Agents have no planned names: they are counted."""
    for name in planned:
        if (state := states.get(name, "no member")) != "alive":
            yield name, f"{name}: {state}"
    living = sum(state == "alive" for name, state in states.items() if name not in planned)
    if living < agents:
        yield "agent", f"{living} of {agents} agents are members"


def edge_of(program: str) -> Question:
    """The question for `edge/SITE`: every planned edge answers, and its nginx runs with loaded routes."""

    def edge(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> Finding:
        edges = endpoints.instances[program]
        said = at_once(lambda one: _trouble(endpoints, one, deadline), edges)
        troubles = {one.node: trouble for one, trouble in zip(edges, said, strict=True) if trouble}
        counted = f"{len(edges) - len(troubles)} of {len(edges)} serve"
        return Finding(
            check=program,
            good=not troubles,
            says="; ".join((counted, *(f"{node}: {trouble}" for node, trouble in troubles.items()))),
            try_next=node_plan(next(iter(troubles)), endpoints) if troubles else None,
            enough=len(troubles) < len(edges),
        )

    return edge


def _trouble(endpoints: Endpoints, edge: Instance, deadline: Deadline) -> str | None:
    if edge.where in endpoints.lost:
        return endpoints.lost[edge.where]
    try:
        with client(endpoints.one("edge", edge), deadline, patient=False) as connection:
            state: Any = connection.get("/state").body
    except ApiError as error:
        return error.said
    if not isinstance(state, dict):
        return f"got {type(state).__name__} where its state is expected"
    # A route that nginx refused is its contract's trouble: the edge serves all others.
    return None if state.get("ok") else "nginx does not run, or has no routes from Consul yet"
