from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.simulator.cluster import Agent, SimulatedCluster
from tests.components.edge_here import Edge
from tests.hooks.consul_server import ConsulServer, consul_server
from tests.hooks.real_edges import real_edges
from tests.hooks.rolling_platform import Platform


@pytest.fixture(scope="session")
def consul_at(consul: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulServer]:
    """A real Consul server for all tests of the hooks: each uses keys of its own."""
    with consul_server(consul, tmp_path_factory.mktemp("consul")) as server:
        yield server


@pytest.fixture(scope="module")
def edges(consul_at: ConsulServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Edge]]:
    """Two real ones, for a module."""
    with real_edges(consul_at, tmp_path_factory.mktemp("edges")) as found:
        yield found


@pytest.fixture
def platform(consul_at: ConsulServer) -> Iterator[Platform]:
    """One agent, one Marathon."""
    with SimulatedCluster([Agent(hostname="10.0.0.2", region="eu")]) as cluster:
        yield Platform(cluster, consul_at)
