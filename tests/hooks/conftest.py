from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hooks.consul_server import ConsulServer, consul_server


@pytest.fixture(scope="session")
def consul_at(consul: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulServer]:
    """A real Consul server for all tests of the hooks: each uses keys of its own."""
    with consul_server(consul, tmp_path_factory.mktemp("consul")) as server:
        yield server
