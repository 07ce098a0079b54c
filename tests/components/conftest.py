"""A Consul server and a client, started from the files of a Consul node and of an agent, once a module."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components.consul_here import CLUSTER, SERVER, Agent, client_of, values


@pytest.fixture(scope="module")
def server(consul: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    agent = Agent(consul, tmp_path_factory.mktemp("server"), SERVER, values(CLUSTER.secrets))
    agent.configure(agent.ports["serf_lan"])
    agent.start()
    try:
        agent.wait("a leader", agent.has_leader)
        yield agent
    finally:
        agent.stop()


@pytest.fixture(scope="module")
def acl(server: Agent) -> subprocess.CompletedProcess[str]:
    """The script that makes policies and tokens, run once."""
    return server.acl()


@pytest.fixture(scope="module")
def client(
    consul: Path, server: Agent, acl: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Agent]:
    agent = client_of(consul, server, tmp_path_factory.mktemp("client"))
    agent.start()
    try:
        agent.wait(
            "the server's address", lambda: f":{server.ports['server']}" in agent.ask("status/leader")[1]
        )
        yield agent
    finally:
        agent.stop()
