"""Is the platform ready? One function per question; each says what is not, on which node, and what helps.

ZooKeeper has a quorum, one Mesos master is elected and each pool has its agents, Marathon and Chronos lead
and are frameworks that Mesos calls active, the registry answers and takes the nodes' login, each site's
Consul has a leader, its access lists and all members, each site's edges serve.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from constructs_lib.components.registry import PASSWORD
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.chronos import Chronos
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import LOGIN, Endpoints, Instance
from constructs_lib.hooks.finding import Expected, Finding, Question, at_once, client, node_plan
from constructs_lib.hooks.marathon import Marathon
from constructs_lib.hooks.mesos import Mesos
from constructs_lib.hooks.registry_login import refusal
from constructs_lib.hooks.site_checks import consul_of, edge_of

ASK_SECONDS = 10.0
"""The longest that one question may take; a gate asks again."""


def look(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> tuple[Finding, ...]:
    """Ask everything once, at the same time; the order is that in which the programs need each other."""
    questions = [(check, question) for check, question in QUESTIONS if endpoints.has(check)]
    for prefix, question_of in BY_SITE:
        found = [program for program in endpoints.instances if program.startswith(prefix)]
        questions += [(program, question_of(program)) for program in found]
    return tuple(at_once(lambda one: _asked(one[0], one[1], endpoints, expected, deadline), questions))


def _asked(
    check: str, question: Question, endpoints: Endpoints, expected: Expected, deadline: Deadline
) -> Finding:
    try:
        found = question(endpoints, expected, deadline.within(ASK_SECONDS))
    except (ApiError, OSError) as error:
        says = str(error).removeprefix(f"{check}: ")
        found = Finding(check=check, good=False, says=says, try_next=_help(check, endpoints))
    _, of_site, site = check.partition("/")
    if found.good:
        return found
    # What Chronos does can be made up for.
    found = replace(found, enough=found.enough or check == "chronos")
    return replace(found, sites=(site,)) if of_site else found


def _help(check: str, endpoints: Endpoints) -> str | None:
    nodes = [one.node for one in endpoints.instances.get(check, ())]
    return node_plan(nodes[0], endpoints) if nodes else None


def zookeeper(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> Finding:
    """More than half of the servers serve, and one of them leads (or is the only one)."""
    servers = endpoints.instances["zookeeper"]
    said = at_once(lambda one: _mode(endpoints, one, deadline), servers)
    modes = {one.node: mode for one, mode in zip(servers, said, strict=True)}
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
    """Exactly one master is elected and has recovered its registry; each site's pools have their agents."""
    masters = endpoints.instances["mesos"]
    said = at_once(lambda one: _elected(endpoints, one, deadline), masters)
    elected = [one.node for one, leads in zip(masters, said, strict=True) if leads]
    if len(elected) != 1:
        who = " and ".join(elected) or "no master"
        return Finding(
            check="mesos", good=False, says=f"{who} elected", try_next="wait for ZooKeeper's quorum"
        )
    with client(endpoints.target("mesos"), deadline) as connection:
        agents = [one for one in Mesos(connection).agents() if one.get("active")]
    there = Counter(_pool(agent, expected.home) for agent in agents)
    several = len({site for site, _pool in expected.pools}) > 1
    missing = [
        f"pool {pool}{f' of {site}' if several else ''}: {there[site, pool]} of {number}"
        for (site, pool), number in expected.pools.items()
        if there[site, pool] < number
    ]
    lacking = {site for (site, pool), number in expected.pools.items() if there[site, pool] < number}
    says = f"{elected[0]} leads, {len(agents)} of {expected.agents} agents are active"
    return Finding(
        check="mesos",
        good=not missing,
        says="; ".join((says, *missing)),
        try_next="clustermesos nodes plan agent" if missing else None,
        sites=tuple(sorted(lacking)),
        enough=all(there[where] for where, number in expected.pools.items() if number),
    )


def _elected(endpoints: Endpoints, master: Instance, deadline: Deadline) -> bool:
    # Masters that don't answer are no obstacle while another one leads.
    try:
        with client(endpoints.one("mesos", master), deadline, patient=False) as connection:
            return Mesos(connection).metrics().get("master/elected") == 1
    except ApiError:
        return False


def _pool(agent: Mapping[str, Any], home: str) -> tuple[str, object]:
    """Site and pool of an agent: its region and its attribute. One without a fault domain is at home."""
    domain = (agent.get("domain") or {}).get("fault_domain") or {}
    region = (domain.get("region") or {}).get("name") or home
    return str(region), (agent.get("attributes") or {}).get("pool")


def marathon(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> Finding:
    """An instance leads, and its framework is registered and active."""
    with client(endpoints.target("marathon"), deadline) as connection:
        api = Marathon(connection)
        leader = api.leader()
        id = api.info().get("frameworkId") if leader else None
    if leader and not id:
        says = f"{leader} leads, and has no framework id: it has not registered at Mesos yet"
        return Finding(check="marathon", good=False, says=says, try_next=_help("marathon", endpoints))
    known = _frameworks(endpoints, deadline) if leader else ()
    return _framework("marathon", leader, [one for one in known if one.get("id") == id])


def chronos(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> Finding:
    """An instance leads, and Mesos calls its framework active: after a failover it may stay frozen."""
    with client(endpoints.target("chronos"), deadline) as connection:
        leader = Chronos(connection).leader()
    known = _frameworks(endpoints, deadline) if leader else ()
    # It tells nobody its framework's id, and is called chronos-VERSION.
    return _framework("chronos", leader, [one for one in known if str(one.get("name")).startswith("chronos")])


def _frameworks(endpoints: Endpoints, deadline: Deadline) -> tuple[Mapping[str, Any], ...]:
    with client(endpoints.target("mesos"), deadline) as connection:
        return Mesos(connection).frameworks()


def _framework(name: str, leader: str | None, known: Sequence[Mapping[str, Any]]) -> Finding:
    if not leader:
        return Finding(
            check=name, good=False, says="no instance leads", try_next="wait for ZooKeeper's quorum"
        )
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


def registry(endpoints: Endpoints, expected: Expected, deadline: Deadline) -> Finding:
    """The private registry answers its health check, and takes the nodes' login where that is known here."""
    with client(endpoints.target("registry"), deadline) as connection:
        connection.get("/debug/health")
    if not endpoints.has(LOGIN):
        return Finding(check="registry", good=True, says="answers")
    if expected.login is None:
        says = f"answers; its login was not tried: {PASSWORD} is not here"
        return Finding(check="registry", good=True, says=says)
    if trouble := refusal(endpoints, expected.login, deadline):
        return Finding(
            check="registry",
            good=False,
            says=trouble.says,
            try_next=_help("registry", endpoints),
            # Nodes have a password of their own, and a deployment whose image they can't pull turns round.
            enough=trouble.of_password,
        )
    return Finding(check="registry", good=True, says="answers, and takes the nodes' login")


QUESTIONS: tuple[tuple[str, Question], ...] = (
    ("zookeeper", zookeeper),
    ("mesos", mesos),
    ("marathon", marathon),
    ("chronos", chronos),
    ("registry", registry),
)
"""Program → its question."""
BY_SITE = (("consul/", consul_of), ("edge/", edge_of))
"""Beginning of a program's name, of which each site has its own → what makes the question."""
