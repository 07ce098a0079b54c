"""Two real edges that a real Consul feeds, and where visitors and hooks find them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from constructs_lib.hooks.endpoints import Instance
from tests.components.edge_here import Edge
from tests.hooks.consul_server import ConsulServer


@contextmanager
def real_edges(consul: ConsulServer, folder: Path) -> Iterator[list[Edge]]:
    """Both running, each below a folder of its own."""
    found = [Edge(folder / f"edge-{number}", f"127.0.0.1:{consul.port}", consul.token) for number in (1, 2)]
    try:
        for edge in found:
            edge.start()
            edge.start_template()
        yield found
    finally:
        for edge in found:
            edge.stop()


def fronts(edges: list[Edge]) -> dict[str, tuple[Instance, ...]]:
    """The edges as visitors ask them, and as hooks do."""

    def at(ports: list[int]) -> tuple[Instance, ...]:
        return tuple(
            Instance(node=f"edge-{number}", site="eu", address="127.0.0.1", port=port)
            for number, port in enumerate(ports, 1)
        )

    return {"front/eu": at([edge.http for edge in edges]), "edge/eu": at([edge.state for edge in edges])}
