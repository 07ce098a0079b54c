"""Three real servers from the files of three Consul nodes: they elect, lose one, and take it back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from constructs_lib.components.model import Role
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.components.consul_here import Agent, values
from tests.nodes.clusters import WHOLE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers(consul: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Agent]]:
    whole = json.loads(json.dumps(WHOLE))
    whole["sites"]["eu"]["consul"] = {"count": 3}
    cluster = plan(ClusterSpec.model_validate(whole))
    site, secrets = cluster.site("eu"), values(cluster.secrets)
    agents = [
        Agent(consul, tmp_path_factory.mktemp(node.name), render(site, node), secrets)
        for node in site.nodes_of(Role.CONSUL)
    ]
    for agent in agents:
        agent.configure(*(other.ports["serf_lan"] for other in agents))
        agent.start()
    try:
        for agent in agents:
            wait_for_leader(agent, other_than="")
        yield agents
    finally:
        for agent in agents:
            agent.stop()


def leader(agent: Agent) -> str:
    status, text = agent.ask("status/leader")
    return str(json.loads(text)) if status == 200 else ""


def wait_for_leader(agent: Agent, *, other_than: str) -> None:
    agent.wait("a leader", lambda: leader(agent) not in ("", other_than))


def value(agent: Agent) -> str:
    return agent.ask("kv/shop/colour?raw", agent.secret("management"))[1]


def test_all_servers_make_the_tokens_at_once_and_each_is_there_once(servers: list[Agent]) -> None:
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda agent: agent.acl(), servers))

    assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
    tokens = json.loads(servers[0].ask("acl/tokens", servers[0].secret("management"))[1])
    names = [token["Description"] for token in tokens]
    assert [names.count(name) for name in ("agent", "metrics", "names", "service")] == [1, 1, 1, 1]
    queries = json.loads(servers[0].ask("query", servers[0].secret("management"))[1])
    assert [query["Name"] for query in queries] == [""]


def test_a_lost_leader_is_replaced_and_comes_back_from_its_volume(servers: list[Agent]) -> None:
    before = leader(servers[0])
    lost = next(agent for agent in servers if before.endswith(f":{agent.ports['server']}"))
    others = [agent for agent in servers if agent is not lost]
    others[0].ask("kv/shop/colour", others[0].secret("management"), "PUT", b"blue")

    lost.stop()

    for agent in others:
        wait_for_leader(agent, other_than=before)
    others[0].wait("writes", lambda: write(others[0], b"green"))
    lost.start()
    lost.wait("the new value", lambda: value(lost) == "green")


def test_a_server_whose_volume_is_lost_is_given_everything_again(servers: list[Agent]) -> None:
    rebuilt = servers[2]
    servers[0].wait("writes", lambda: write(servers[0], b"red"))
    rebuilt.stop()
    shutil.rmtree(rebuilt.at("/srv/data/consul"))
    rebuilt.at("/srv/data/consul").mkdir()

    rebuilt.start()

    rebuilt.wait("the value from the others", lambda: value(rebuilt) == "red")
    servers[0].wait("three voters", lambda: [voters(agent) for agent in servers] == [3, 3, 3])


def write(agent: Agent, content: bytes) -> bool:
    return agent.ask("kv/shop/colour", agent.secret("management"), "PUT", content) == (200, "true")


def voters(agent: Agent) -> int:
    status, text = agent.ask("operator/raft/configuration", agent.secret("management"))
    return sum(server["Voter"] for server in json.loads(text)["Servers"]) if status == 200 else 0
