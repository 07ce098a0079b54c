"""pytest fixtures that give tests of contracts a simulated cluster, found where this is installed.

Every pytest of such an environment imports this module, so it imports nothing but pytest before it is used.

`simulated_cluster` stands still until `simulated_cluster.advance(seconds)`. `simulated_platform` runs by
itself, twenty times as fast as time, and the commands that deploy find it without being told. Which agents
there are is said by the marker, `@pytest.mark.simulated_cluster(file="cluster.yaml", agents={"general": 2},
masters=3, …)`, by the ini setting `clustermesos_file`, or neither: then there are three.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from constructs_lib.simulator.cluster import SimulatedCluster

_MARKER = "simulated_cluster"
_SETTING = "clustermesos_file"
_SPEED = 20.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini setting."""
    parser.addini(_SETTING, "the cluster.yaml whose pools are the agents of simulated clusters", default="")


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(file, agents, **options): the cluster.yaml of the simulated cluster, pool → how many "
        "agents, and what SimulatedCluster takes besides",
    )


@pytest.fixture
def simulated_cluster(request: pytest.FixtureRequest) -> Iterator[SimulatedCluster]:
    """A simulated cluster whose time the test lets pass."""
    with _made(request) as cluster:
        yield cluster


@pytest.fixture
def simulated_platform(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimulatedCluster]:
    """A simulated cluster that runs by itself, named to the commands by `CLUSTERMESOS_SIMULATOR`."""
    from constructs_lib.simulator.cluster import RunningClock
    from constructs_lib.simulator.cluster.endpoints_file import VARIABLE, endpoints, write_endpoints

    with _made(request, clock=RunningClock(_SPEED)) as cluster:
        file = tmp_path / "simulator.json"
        write_endpoints(file, endpoints(cluster))
        monkeypatch.setenv(VARIABLE, str(file))
        yield cluster


def _made(request: pytest.FixtureRequest, **fixed: Any) -> SimulatedCluster:
    from constructs_lib.plan.lock import read_lock
    from constructs_lib.plan.plan import plan
    from constructs_lib.simulator.cluster import SimulatedCluster
    from constructs_lib.spec.load import load
    from constructs_lib.spec.workspace import Workspace

    options: dict[str, Any] = {}
    # The nearest marker counts for what several say.
    for marker in reversed(list(request.node.iter_markers(_MARKER))):
        options |= marker.kwargs
    options |= fixed
    file, counts = options.pop("file", None), options.pop("agents", None)
    setting = request.config.getini(_SETTING)
    if file is None and setting:
        file = request.config.rootpath / setting
    if file is None:
        if counts is not None and not isinstance(counts, list):
            pytest.fail(f"{_MARKER}: agents={counts!r} counts pools, so it needs file=… or {_SETTING}")
        return SimulatedCluster(counts, **options)
    workspace = Workspace(Path(file))
    made = plan(load(workspace.cluster_file), read_lock(workspace.lock_file))
    return SimulatedCluster.of_plan(made, counts, **options)
