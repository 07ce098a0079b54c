"""Canaries through `apply`, judged by what two real nginx counted and a real Prometheus read from them.

Consul, consul-template, nginx, edge-state and Prometheus are real and run with the nodes' own files; Marathon
is the simulator, whose tasks are HTTP servers on this machine. Every request of a constant load is counted.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.cli.main import main
from constructs_lib.components.model import Role
from constructs_lib.components.nginx import NGINX
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster.cluster import SimulatedCluster
from constructs_lib.simulator.cluster.endpoints_file import endpoints
from constructs_lib.simulator.cluster.profiles import Profile
from constructs_lib.simulator.cluster.timeline import RunningClock
from constructs_lib.spec.load import load
from constructs_lib.spec.model import ClusterSpec
from scripts.progress import ROOT
from tests.components.contracts_here import Contracts
from tests.components.edge_here import Edge
from tests.hooks.constant_load import Load
from tests.hooks.consul_server import ConsulServer
from tests.hooks.real_edges import fronts
from tests.lab.asking import seen, until
from tests.nodes.clusters import WHOLE

pytestmark = pytest.mark.slow
LONGEST = 120
NAME, HOST = "canary", "canary.example.org"
CONTRACT = """\
name: canary
owner: shop@example.org
dev: {image: "registry.example.org/shop:%s", ports: {http: 8080}, health: {path: /healthz}}
ops:
  cpus: 0.1
  memory_mib: 64
  instances: 2
  pools: [general]
  deploy:
    strategy: canary
    min_healthy_seconds: 1
    progress_deadline_seconds: %s
    drain_seconds: 1
    canary: %s
  route: {host: canary.example.org, path: /}
"""
CANARY = {"percent": 40, "instances": 1, "seconds": 3, "min_requests": 100}
SERIES = 'edge_requests_total{route="canary"%s}'
# Of a canary that never answered wrongly there is no counter with 5xx.
WRONG, ALL = (SERIES % more for more in (',version="$version",status=~"5.."', ',version="$version"'))
BUCKETS = 'edge_request_seconds_bucket{route="canary",version="$version"}'
CHECKS = [
    {"name": "errors", "query": f"(sum({WRONG}) or vector(0)) / sum({ALL})", "upper": 0.01},
    {"name": "slow", "query": f"histogram_quantile(0.9, sum by (le) (rate({BUCKETS}[10s])))", "upper": 2.5},
]


class Shop:
    """An application with one contract, deployed again and again; `version` is the one that serves."""

    def __init__(
        self, folder: Path, cluster: SimulatedCluster, edges: list[Edge], prometheus: Contracts
    ) -> None:
        self.folder, self.cluster, self.edges, self.prometheus = folder, cluster, edges, prometheus

    def deploy(
        self, tag: str, *, error_rate: float = 0.0, deadline: int = LONGEST // 2, **canary: Any
    ) -> tuple[int, str]:
        """`apply` with this image, which answers that share with 500; its exit code and what it said.

        By `deadline`, in seconds, there is progress on a busy computer too.
        """
        life = Profile(start_seconds=0.1, healthy_after=0.1, stop_seconds=0.05, error_rate=error_rate)
        self.cluster.profile("*", life)
        text = CONTRACT % (tag, deadline, json.dumps({**CANARY, **canary}))
        (self.folder / f"contracts/{NAME}.yaml").write_text(text)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(
                [
                    *("apply", "--timeout", str(LONGEST), "--file", str(self.folder / "cluster.yaml")),
                    *("--simulator", str(self.folder / "simulator.json")),
                ]
            )
        return code, " ".join(said.getvalue().split())

    def load(self) -> Load:
        return Load([edge.http for edge in self.edges], HOST, websocket=False)

    @property
    def version(self) -> str:
        (one,) = {task.owner.rpartition("/")[2] for task in self.cluster.tasks()}
        return one

    def logged(self) -> Counter[tuple[str, str]]:
        """What the edges' nginx wrote into their logs: version and status → requests."""
        texts = [(edge.folder / "access.log").read_text() for edge in self.edges]
        lines = [json.loads(line) for text in texts for line in text.splitlines()]
        return Counter((one["version"], str(one["status"])) for one in lines if one["route"] == NAME)

    def counted(self) -> Counter[tuple[str, str]]:
        """What Prometheus has of the edges: version and status → requests."""
        found = self.prometheus.ask("query", query=f"sum by (version, status) ({SERIES % ''})")
        rows = [(row["metric"], int(row["value"][1])) for row in found.get("result", ())]
        return Counter({(labels["version"], labels["status"]): number for labels, number in rows})


@pytest.fixture(scope="module")
def prometheus(
    consul_at: ConsulServer, edges: list[Edge], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Contracts]:
    """A Consul node's, which reads the edges by the job that such a node has for them."""
    whole: dict[str, Any] = json.loads(json.dumps(WHOLE))
    whole["sites"]["eu"]["edge"] = {"count": len(edges)}
    planned = plan(ClusterSpec.model_validate(whole)).site("eu")
    port = NGINX.port("state").number
    reads = {
        f"{node.address}:{port}": f"127.0.0.1:{edge.state}"
        for node, edge in zip(planned.nodes_of(Role.EDGE), edges, strict=True)
    }
    node = Contracts(tmp_path_factory.mktemp("prometheus"))
    try:
        node.start_template(f"127.0.0.1:{consul_at.port}", consul_at.token)
        node.start_prometheus(render(planned, planned.nodes_of(Role.CONSUL)[0]), reads)
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="module")
def shop(
    consul_at: ConsulServer,
    edges: list[Edge],
    prometheus: Contracts,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    """Its first version serves."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "cluster.yaml").write_text((ROOT / "cluster.yaml").read_text())
    (folder / "contracts").mkdir()
    registered: Any = {"consul": consul_at.url, "consul_token": consul_at.token}
    planned = plan(load(folder / "cluster.yaml"))
    with (
        pytest.MonkeyPatch.context() as patch,
        SimulatedCluster.of_plan(planned, clock=RunningClock(), **registered) as cluster,
    ):
        patch.setenv("CONSUL_HTTP_TOKEN", consul_at.token)
        found = endpoints(cluster, {"eu": consul_at.url})
        found["instances"] |= {name: [one.where for one in all] for name, all in fronts(edges).items()}
        found["instances"]["prometheus/eu"] = [f"127.0.0.1:{prometheus.port}"]
        (folder / "simulator.json").write_text(json.dumps(found))
        shop = Shop(folder, cluster, edges, prometheus)
        code, said = shop.deploy("1.0.0")
        assert code == 0, said
        yield shop


def answered(load: Load) -> Counter[tuple[str, str]]:
    """What visitors got: version and status → requests."""
    found: Counter[tuple[str, str]] = Counter()
    for (_, said), number in load.answers.items():
        status, _, version = said.rpartition(" of ")
        found[version, status or "200"] += number
    return found


class Requests:
    """What was logged and counted before a load, to be held against what its visitors got."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.logged, self.counted = shop, shop.logged(), shop.counted()

    def are_all_known(self, load: Load) -> None:
        """Each is in a log and counted, and none is that nobody sent."""
        got = answered(load)
        # Each worker logs what it answered, after it did.
        until("all are logged", LONGEST, lambda: self.shop.logged() - self.logged == got)
        seen("all are counted", LONGEST, lambda: self.shop.counted() - self.counted, got.__eq__)


def test_a_canary_that_answers_wrongly_goes_back_and_only_its_own_wrong_answers_are_lost(shop: Shop) -> None:
    former, requests = shop.version, Requests(shop)
    with shop.load() as load:
        code, said = shop.deploy("bad", error_rate=0.5, seconds=600)

    assert code == 1, said
    assert "goes back: the canary is worse: errors at the edge: 0." in said and ", at most 0.01" in said
    assert f"version {former} runs again" in said
    assert shop.version == former
    (worse,) = load.served - {former}
    assert load.lost.keys() == {("GET", f"500 of {worse}")} and load.lost.total() > 1, load.lost
    requests.are_all_known(load)


def test_a_canary_that_answers_rightly_is_promoted_once_it_was_watched_and_nothing_is_lost(
    shop: Shop,
) -> None:
    former, requests = shop.version, Requests(shop)
    with shop.load() as load:
        code, said = shop.deploy("good", checks=CHECKS)

    assert code == 0, said
    better = shop.version
    assert better != former and load.served == {former, better}
    assert f"waits for canary {better} to be watched long enough" in said
    assert load.lost == {}
    assert answered(load)[better, "200"] >= CANARY["min_requests"]
    requests.are_all_known(load)


def test_a_canary_with_too_few_requests_is_not_promoted_and_how_few_there_were_is_said(shop: Shop) -> None:
    former, requests = shop.version, Requests(shop)
    with shop.load() as load:
        code, said = shop.deploy("rare", deadline=10, min_requests=100_000)

    assert code == 1, said
    _, _, told = said.partition("the canary was undecided for 13 s: ")
    few, _, rest = told.partition(" ")
    assert rest.startswith("of 100000 requests"), said
    (rare,) = load.served - {former}
    assert 0 < int(few) <= answered(load)[rare, "200"]
    assert shop.version == former and load.lost == {}
    requests.are_all_known(load)
