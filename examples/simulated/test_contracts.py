"""Do these contracts hold on this cluster? Runs in a second, without a cloud: `pytest examples/simulated`."""

from __future__ import annotations

from pathlib import Path

import pytest

from constructs_lib.contracts.check import demand
from constructs_lib.contracts.compile import compile_contracts
from constructs_lib.contracts.compiled import Compiled
from constructs_lib.contracts.load import load_contracts
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import Fault, SimulatedCluster
from constructs_lib.spec.load import load

HERE = Path(__file__).parent
ON_OURS = pytest.mark.simulated_cluster(file=HERE / "cluster.yaml")
HOUR = 3600


@pytest.fixture
def compiled() -> Compiled:
    cluster = plan(load(HERE / "cluster.yaml"))
    contracts = load_contracts(HERE / "contracts")
    demand(contracts, cluster)  # says what the cluster can't keep
    return compile_contracts(contracts, cluster)


@ON_OURS
def test_every_application_gets_healthy(simulated_cluster: SimulatedCluster, compiled: Compiled) -> None:
    simulated_cluster.deploy(compiled)
    simulated_cluster.advance(300)

    for contract in compiled.contracts:
        assert simulated_cluster.healthy(contract.app.id) == contract.instances.min


@ON_OURS
def test_a_crashed_instance_is_started_again(simulated_cluster: SimulatedCluster, compiled: Compiled) -> None:
    simulated_cluster.deploy(compiled)
    simulated_cluster.advance(300)
    simulated_cluster.inject(Fault(kind="task_failure", target="/web/*", status=137))
    assert simulated_cluster.healthy("/web/*") == 0
    simulated_cluster.advance(300)

    assert simulated_cluster.healthy("/web/*") == 3


@ON_OURS
@pytest.mark.simulated_cluster(agents={"general": 2})
def test_three_instances_need_three_agents(simulated_cluster: SimulatedCluster, compiled: Compiled) -> None:
    simulated_cluster.deploy(compiled)
    simulated_cluster.advance(300)

    assert simulated_cluster.healthy("/web/*") == 2


@ON_OURS
def test_the_database_is_saved_every_night(simulated_cluster: SimulatedCluster, compiled: Compiled) -> None:
    simulated_cluster.deploy(compiled)
    simulated_cluster.advance(24 * HOUR)
    runs = simulated_cluster.runs("db.backup")

    assert [run.state for run in runs] == ["TASK_FINISHED"]
    assert {run.host for run in runs} == {task.agent.hostname for task in simulated_cluster.tasks("/db/*")}
