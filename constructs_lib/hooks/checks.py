"""Is the platform ready? One function per question; each says what is not, on which node, and what helps.

ZooKeeper has a quorum, one Mesos master is elected and the agents are there, Marathon and Chronos lead and
are frameworks that Mesos calls active, each site's Consul has a leader and its access lists, the registry
answers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.chronos import Chronos
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.http import Client
from constructs_lib.hooks.marathon import Marathon
from constructs_lib.hooks.mesos import Mesos

ASK_SECONDS = 10.0
"""The longest that one question may take; a gate asks again."""
_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answer to one question. `says` is what was seen, `try_next` what helps where it is not good."""

    check: str
    good: bool
    says: str
    try_next: str | None = None


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the plan has, as far as checks ask for it."""

    agents: int
    """How many agents there are at least."""
    pools: Mapping[str, int]
    """Pool → how many of them."""
    regions: Sequence[str]
    """Sites in which there are agents."""
    tokens: Mapping[str, str]
    """Site → the token that may read its Consul."""


Question = Callable[[Endpoints, Expected, Deadline], Finding]


def look(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> tuple[Finding, ...]:
    """Ask everything once, at the same time; the order is that in which the programs need each other."""
    questions = [(check, question) for check, question in QUESTIONS if endpoints.has(check)]
    for program in endpoints.instances:
        if program.startswith("consul/"):
            questions.append((program, _consul_of(program)))
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        found = pool.map(lambda one: _asked(one[0], one[1], endpoints, expected, deadline), questions)
        return tuple(found)


def _asked(
    check: str, question: Question, endpoints: Endpoints, expected: Expected, deadline: Deadline
) -> Finding:
    try:
        return question(endpoints, expected, deadline.within(ASK_SECONDS))
    except (ApiError, OSError) as error:
        says = str(error).removeprefix(f"{check}: ")
        return Finding(check=check, good=False, says=says, try_next=_help(check, endpoints))


def _help(check: str, endpoints: Endpoints) -> str | None:
    nodes = [one.node for one in endpoints.instances.get(check, ())]
    return f"clustermesos nodes plan {nodes[0]}" if nodes and not endpoints.simulator else None


def zookeeper(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> Finding:
    """More than half of the servers serve, and one of them leads (or is the only one)."""
    servers = endpoints.instances["zookeeper"]
    modes = {one.node: _mode(endpoints, one, deadline) for one in servers}
    serving = [node for node, mode in modes.items() if mode in ("leader", "follower", "standalone")]
    leaders = [node for node, mode in modes.items() if mode in ("leader", "standalone")]
    silent = [f"{node}: {mode}" for node, mode in modes.items() if node not in serving]
    good = len(serving) > len(servers) // 2 and len(leaders) == 1
    says = f"{len(serving)} of {len(servers)} serve"
    if leaders:
        says += f", {' and '.join(leaders)} leads"
    return Finding(
        check="zookeeper",
        good=good,
        says="; ".join((says, *silent)),
        try_next=None if good else _help("zookeeper", endpoints),
    )


def _mode(endpoints: Endpoints, server: Instance, deadline: Deadline) -> str:
    if server.where in endpoints.lost:
        return endpoints.lost[server.where]
    try:
        with endpoints.connect(server, max(deadline.left, 0.1)) as connection:
            connection.sendall(b"srvr")
            answer = b""
            while chunk := connection.recv(4096):
                answer += chunk
    except OSError as error:
        return error.strerror or type(error).__name__
    lines = answer.decode(errors="replace").splitlines()
    mode = next((line.removeprefix("Mode: ") for line in lines if line.startswith("Mode: ")), None)
    return mode or (lines[0] if lines else "no answer")


def mesos(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> Finding:
    """Exactly one master is elected and has recovered its registry; as many agents are active as planned."""
    elected = []
    for one in endpoints.instances["mesos"]:
        # Masters that don't answer are no obstacle while another one leads.
        with contextlib.suppress(ApiError), _client(endpoints.one("mesos", one), deadline) as client:
            if Mesos(client).metrics().get("master/elected") == 1:
                elected.append(one.node)
    if len(elected) != 1:
        who = " and ".join(elected) or "no master"
        return Finding(
            check="mesos", good=False, says=f"{who} elected", try_next="wait for ZooKeeper's quorum"
        )
    with _client(endpoints.target("mesos"), deadline) as client:
        agents = [one for one in Mesos(client).agents() if one.get("active")]
    there = _by_pool(agents)
    missing = [
        f"pool {pool}: {there.get(pool, 0)} of {number}"
        for pool, number in expected.pools.items()
        if there.get(pool, 0) < number
    ]
    says = f"{elected[0]} leads, {len(agents)} of {expected.agents} agents are active"
    return Finding(
        check="mesos",
        good=len(agents) >= expected.agents,
        says="; ".join((says, *missing)),
        try_next=None if len(agents) >= expected.agents else "clustermesos nodes plan agent",
    )


def _by_pool(agents: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for agent in agents:
        pool = (agent.get("attributes") or {}).get("pool")
        if isinstance(pool, str):
            found[pool] = found.get(pool, 0) + 1
    return found


def marathon(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> Finding:
    """An instance leads, and its framework is registered and active."""
    with _client(endpoints.target("marathon"), deadline) as client:
        api = Marathon(client)
        leader, framework = api.leader(), api.info().get("frameworkId")
    return _framework("marathon", leader, framework, endpoints, deadline)


def chronos(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> Finding:
    """An instance leads, and Mesos calls its framework active: after a failover it may stay frozen."""
    with _client(endpoints.target("chronos"), deadline) as client:
        leader = Chronos(client).leader()
    return _framework("chronos", leader, None, endpoints, deadline)


def _framework(
    name: str, leader: str | None, id: object, endpoints: Endpoints, deadline: Deadline
) -> Finding:
    if not leader:
        return Finding(
            check=name, good=False, says="no instance leads", try_next="wait for ZooKeeper's quorum"
        )
    with _client(endpoints.target("mesos"), deadline) as client:
        known = [one for one in Mesos(client).frameworks() if _is(one, name, id)]
    if not known:
        return Finding(check=name, good=False, says=f"{leader} leads, Mesos does not know it yet")
    if not any(one.get("active") for one in known):
        return Finding(
            check=name,
            good=False,
            says=f"{leader} leads, but Mesos calls its framework inactive: it gets no offers",
            try_next=f"on {leader.partition(':')[0]}: sudo systemctl restart {name}",
        )
    return Finding(check=name, good=True, says=f"{leader} leads, its framework is active")


def _is(framework: Mapping[str, Any], name: str, id: object) -> bool:
    # Chronos is called chronos-VERSION.
    return framework.get("id") == id if id else str(framework.get("name", "")).startswith(name)


def registry(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> Finding:
    """The private registry answers its health check."""
    with _client(endpoints.target("registry"), deadline) as client:
        client.get("/debug/health")
    return Finding(check="registry", good=True, says="answers")


def _consul_of(program: str) -> Question:
    site = program.partition("/")[2]

    def consul(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> Finding:
        with _client(endpoints.target(program), deadline) as client:
            api = Consul(client, expected.tokens.get(site))
            leader, peers = api.status.leader(), api.status.peers()
            if not leader:
                return Finding(check=program, good=False, says="no server leads")
            # Whoever has no right is told so here, and an access list that is still being made as well.
            api.acl.token.read_self()
        servers = len(endpoints.instances[program])
        good = len(peers) > servers // 2
        return Finding(
            check=program, good=good, says=f"{leader} leads, {len(peers)} of {servers} servers are peers"
        )

    return consul


def _client(target: Any, deadline: Deadline) -> contextlib.closing[Client]:
    return contextlib.closing(Client(target, deadline))


QUESTIONS: tuple[tuple[str, Question], ...] = (
    ("zookeeper", zookeeper),
    ("mesos", mesos),
    ("marathon", marathon),
    ("chronos", chronos),
    ("registry", registry),
)
"""Program → its question."""
