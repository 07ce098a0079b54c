"""The way to agents, which are in no plan: opened through a real gateway once their addresses are known."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.access.ssh import Ssh
from constructs_lib.hooks.agents import Agents
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance, through_gateways
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.web import Answer, Question, Web
from constructs_lib.spec.load import load
from scripts.embedded_aws import free_port
from scripts.progress import ROOT
from tests.access.servers import Site

STATISTICS = {"timestamp": 1, "cpus_user_time_secs": 2, "cpus_system_time_secs": 3, "mem_rss_bytes": 4}


@pytest.fixture(scope="module")
def cluster() -> ClusterPlan:
    return plan(load(ROOT / "cluster.yaml"))


class Masters:
    """Mesos' masters, that know two agents of the site eu; the second one does not answer."""

    def __init__(self, *ports: int) -> None:
        region = {"fault_domain": {"region": {"name": "eu"}, "zone": {"name": "a"}}}
        self.known = [
            {
                "id": f"S{number}",
                "hostname": f"agent-{number}",
                "pid": f"slave(1)@127.0.0.1:{port}",
                "domain": region,
            }
            for number, port in enumerate(ports)
        ]

    def agents(self) -> list[dict[str, Any]]:
        return self.known


def count(cluster: ClusterPlan, endpoints: Endpoints, *ports: int) -> Any:
    masters: Any = Masters(*ports)
    return Agents(cluster, masters, endpoints, Deadline(60)).count([f"S{n}" for n in range(len(ports))])


@pytest.mark.slow
def test_agents_are_asked_through_the_gateway_of_their_site(site: Site, cluster: ClusterPlan) -> None:
    heard: list[str] = []

    def answer(question: Question) -> Answer:
        heard.append(question.path)
        return Answer(200, [{"executor_id": "task", "statistics": STATISTICS}])

    agent = Web("agent", "127.0.0.1", 0, answer, lambda _text, _level: None)
    agent.start()
    try:
        with through_gateways(cluster, Ssh(folder=site.folder)) as endpoints:
            counted = count(cluster, endpoints, agent.port, free_port())
            with endpoints.reaching(
                [Instance(node="a", site="eu", address="127.0.0.1", port=agent.port)]
            ) as way:
                [(where, path)] = way.sockets.items()
                assert path.exists() and where == f"127.0.0.1:{agent.port}"
            assert not path.exists(), "closed when it is no longer needed"
    finally:
        agent.stop()

    assert heard == ["/containers"]
    assert counted.samples["task"].cpu_seconds == 5
    [why] = counted.silent.values()
    assert why.startswith("agent agent-1: ") and list(counted.silent) == ["S1"]


def test_a_gateway_that_is_gone_by_then_is_why_nothing_is_known(site: Site, cluster: ClusterPlan) -> None:
    with through_gateways(cluster, Ssh(folder=site.folder)) as endpoints:
        gateway, node = site.hosts()
        site.write(type(gateway)(**{**vars(gateway), "port": free_port()}), node)

        counted = count(cluster, endpoints, 5051)

    assert counted.silent["S0"].startswith("agent agent-0: ssh: ")
