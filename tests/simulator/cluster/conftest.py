"""A simulated cluster whose clock the test turns, and a short way to ask its APIs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from constructs_lib.simulator.cluster import SimulatedCluster
from constructs_lib.simulator.web import ask


@dataclass
class Marathon:
    """Marathon's API of a simulated cluster."""

    sim: SimulatedCluster
    instance: int = 0

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        return ask(f"{self.sim.urls('marathon')[self.instance]}/v2{path}", method, body)

    def get(self, path: str) -> Any:
        status, body = self.ask("GET", path)
        assert status == 200, body
        return body

    def put(self, id: str, **fields: Any) -> Any:
        """PUT an app, as it is; the answer's body."""
        body = {"cmd": "sleep 1", "cpus": 0.1, "mem": 32, **fields}
        status, answer = self.ask("PUT", f"/apps{id}?partialUpdate=false", body)
        assert status in (200, 201), answer
        return answer

    def app(self, id: str) -> Any:
        return self.get(f"/apps{id}?embed=app.tasks&embed=app.lastTaskFailure")["app"]

    def running(self, id: str) -> int:
        return int(self.app(id)["tasksRunning"])

    def deployed(self, id: str, seconds: float = 30, **fields: Any) -> None:
        """PUT an app, and let the deployment end."""
        made = self.put(id, **fields)
        self.sim.advance(seconds)
        assert made["deploymentId"] not in [one["id"] for one in self.get("/deployments")]

    def reasons(self, id: str) -> dict[str, list[str]]:
        """Host → every reason why its last offer was turned down."""
        queue = self.get("/queue?embed=lastUnusedOffers")["queue"]
        offers = next(one for one in queue if one["app"]["id"] == id)["lastUnusedOffers"]
        return {one["offer"]["hostname"]: one["reason"] for one in offers}


@pytest.fixture
def sim() -> Iterator[SimulatedCluster]:
    with SimulatedCluster() as cluster:
        yield cluster


@pytest.fixture
def marathon(sim: SimulatedCluster) -> Marathon:
    return Marathon(sim)
