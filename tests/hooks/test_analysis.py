"""What speaks against a canary: bounds, before and after, and a real Prometheus."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.contracts.compile import compile_contracts
from constructs_lib.contracts.compiled import (
    AppVersion,
    CanaryCheck,
    CompiledContract,
    Deployment,
    Instances,
    Route,
)
from constructs_lib.contracts.load import load_contracts
from constructs_lib.hooks.analysis import Analysts, counted, measure, verdict
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.observed import Judgement, Progress
from constructs_lib.hooks.prometheus import Prometheus
from scripts.embedded_aws import free_port
from scripts.progress import ROOT
from tests.conftest import need
from tests.contracts.clusters import hybrid

SLOW = CanaryCheck(name="slow", query="q", upper=0.5)
HITS = CanaryCheck(name="hits", query="q", lower=2.0, upper=9.0)
CONTRACT = CompiledContract(
    name="shop",
    cluster="shop",
    owner="shop@example.org",
    app=AppVersion(id="/shop/v2", version="v2", body={}, checked=True),
    instances=Instances(min=2, max=2),
    deployment=Deployment(strategy="canary", canary_min_requests=50),
    route=Route(host="shop.example.org", path="/", service="shop"),
)


@pytest.mark.parametrize(
    ("check", "before", "after", "bad", "says"),
    [
        (SLOW, (0.2,), (0.3,), False, "slow: 0.3"),
        (SLOW, (0.2,), (0.7,), True, "slow: 0.7, at most 0.5"),
        (SLOW, (0.2,), (0.3, 0.9, 0.6), True, "slow: 0.9, at most 0.5"),
        (
            SLOW,
            (0.8,),
            (0.9,),
            False,
            "slow: 0.9, at most 0.5, was 0.8 before the deployment, and is not held",
        ),
        (SLOW, (), (0.9,), True, "slow: 0.9, at most 0.5"),
        (SLOW, (0.2,), (), None, "slow: no data"),
        (replace(SLOW, dry_run=True), (), (0.9,), True, "slow: 0.9, at most 0.5 (only told)"),
        (
            CanaryCheck(name="hits", query="q", lower=2.0, upper=9.0),
            (),
            (1.0,),
            True,
            "at least 2 and at most 9",
        ),
    ],
)
def test_a_check_is_bad_only_where_the_canary_is_out_of_bounds_and_what_was_before_is_not(
    check: CanaryCheck, before: tuple[float, ...], after: tuple[float, ...], bad: bool | None, says: str
) -> None:
    found = measure(check, before, after)

    assert found.bad is bad and says in found.says


@pytest.mark.parametrize(
    ("checks", "says", "why"),
    [
        ([(SLOW, (0.3,))], "good", "slow: 0.3"),
        ([(SLOW, (0.3,)), (SLOW, (0.9,))], "bad", "slow: 0.9, at most 0.5"),
        ([(SLOW, ()), (SLOW, (0.9,))], "bad", "slow: 0.9, at most 0.5"),
        ([(SLOW, (0.3,)), (SLOW, ())], "undecided", "slow: 0.3; slow: no data"),
        ([(replace(SLOW, dry_run=True), (0.9,))], "good", "slow: 0.9, at most 0.5 (only told)"),
        ([(replace(SLOW, dry_run=True), ())], "good", "slow: no data (only told)"),
    ],
)
def test_one_bad_check_turns_round_and_one_without_data_decides_nothing(
    checks: list[tuple[CanaryCheck, tuple[float, ...]]], says: str, why: str
) -> None:
    judged = verdict(tuple(measure(check, (), after) for check, after in checks))

    assert (judged.says, judged.why) == (says, why)


@pytest.mark.slow
def test_a_prometheus_that_does_not_answer_decides_nothing() -> None:
    target = Target(name="prometheus", bases=(f"http://127.0.0.1:{free_port()}",))
    analysts = Analysts({"eu": Prometheus(Client(target, Deadline(1.0)))})

    judged = analysts.judge(CONTRACT, Progress(version="v2", canary_since=1.0), 100.0)

    assert judged.says == "undecided" and judged.why.startswith("nothing can be measured: prometheus")
    assert analysts.judge(CONTRACT, Progress(version="v2"), 100.0).why == "it has no requests yet"


@dataclass
class Edge:
    """What an edge's /metrics would say, and a Prometheus that reads it every fifth of a second."""

    port: int
    counts: dict[tuple[str, int], int] = field(default_factory=dict)

    def metrics(self) -> str:
        labels = 'edge_requests_total{{route="shop",version="{0}",status="{1}"}} {2}\n'
        return "".join(labels.format(*key, number) for key, number in self.counts.items())

    def wait_until_read(self, requests: float, version: str = "v2") -> None:
        """Until Prometheus has these requests of the version."""
        target = Target(name="prometheus", bases=(f"http://127.0.0.1:{self.port}",))
        prometheus = Prometheus(Client(target, Deadline(60.0)))
        end = time.monotonic() + 60
        query = f'sum(edge_requests_total{{version="{version}"}})'
        while prometheus.values(query, time.time()) != (requests,):
            assert time.monotonic() < end
            time.sleep(0.1)

    def analysts(self) -> Analysts:
        target = Target(name="prometheus", bases=(f"http://127.0.0.1:{self.port}",))
        return Analysts({"eu": Prometheus(Client(target, Deadline(60.0)))})


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("prometheus")
    edge = Edge(free_port())

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(edge.metrics().encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        scrape = {
            "job_name": "edge",
            "scrape_interval": "200ms",
            "scrape_timeout": "200ms",
            "static_configs": [{"targets": [f"127.0.0.1:{server.server_address[1]}"]}],
        }
        (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": [scrape]}))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    need("prometheus"),
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{edge.port}",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            yield edge
        finally:
            process.terminate()
            process.wait(timeout=60)
            server.shutdown()


def eventually(happened: Callable[[], Judgement], says: str) -> Judgement:
    end = time.monotonic() + 30
    while True:
        judged = happened()
        if judged.says == says:
            return judged
        assert time.monotonic() < end, judged
        time.sleep(0.1)


@pytest.mark.slow
def test_a_real_prometheus_decides_by_requests_and_errors_since_the_canary_has_its_share(edge: Edge) -> None:
    analysts = edge.analysts()
    edge.counts = {("v1", 200): 1000, ("v2", 200): 1}
    progress = Progress(version="v2", settled="v1", began=time.time(), canary_since=time.time())

    def judge() -> Judgement:
        return analysts.judge(CONTRACT, progress, time.time())

    edge.wait_until_read(1.0)
    assert judge().why in ("0 of 50 requests", "1 of 50 requests")

    edge.counts["v2", 200] = 80
    assert eventually(judge, "good").why == "errors at the edge: 0"

    edge.counts |= {("v2", 500): 40, ("v2", 200): 120}
    edge.wait_until_read(160.0)
    assert judge() == Judgement(says="bad", why="errors at the edge: 0.25, at most 0.01")

    # What the contract asks itself is judged by the former version's numbers before.
    query = 'sum(edge_requests_total{version="v2",status="500"}) or vector(0)'
    checks = (CanaryCheck(name="errors", query=query, upper=10.0),)
    own = replace(CONTRACT, deployment=replace(CONTRACT.deployment, checks=checks))
    assert analysts.judge(own, progress, time.time()).why == "errors: 40, at most 10"
    edge.counts["v1", 500] = 70

    def later() -> Judgement:
        return analysts.judge(own, replace(progress, began=time.time()), time.time())

    assert "was 70 before the deployment, and is not held against it" in eventually(later, "good").why


def of(version: str, **deployment: Any) -> CompiledContract:
    changed = replace(CONTRACT.deployment, **deployment)
    return replace(CONTRACT, app=replace(CONTRACT.app, version=version), deployment=changed)


@pytest.mark.slow
def test_counters_that_began_anew_hide_nothing_of_a_version_that_is_tried_again(edge: Edge) -> None:
    edge.counts = {("again", 200): 500, ("again", 500): 500}
    edge.wait_until_read(1000.0, "again")
    progress = Progress(version="again", canary_since=time.time())
    time.sleep(1.0)

    # As after a restart of edge-state, or another edge in this one's place.
    edge.counts = {("again", 200): 60, ("again", 500): 30}
    edge.wait_until_read(90.0, "again")

    judged = edge.analysts().judge(of("again"), progress, time.time())
    assert (judged.says, judged.why) == ("bad", "errors at the edge: 0.333333, at most 0.01")


@pytest.mark.slow
def test_a_former_version_of_which_too_little_is_known_excuses_nothing(edge: Edge) -> None:
    edge.counts = {("former", 500): 1}
    edge.wait_until_read(1.0, "former")
    progress = Progress(version="new", settled="former", began=time.time(), canary_since=time.time())
    edge.counts |= {("new", 200): 60, ("new", 500): 30}
    edge.wait_until_read(90.0, "new")

    judged = edge.analysts().judge(of("new"), progress, time.time())

    assert (judged.says, judged.why) == ("bad", "errors at the edge: 0.333333, at most 0.01")


@pytest.mark.slow
def test_the_example_promotes_a_canary_that_never_answered_with_an_error(edge: Edge) -> None:
    examples = load_contracts(ROOT / "examples/contracts")
    example = compile_contracts(examples, hybrid()).contract("checkout")
    assert example is not None
    checks = tuple(
        replace(one, query=one.query.replace('"checkout"', '"shop"').replace(example.app.version, "fine"))
        for one in example.deployment.checks
    )
    edge.counts = {("fine", 200): 1}
    edge.wait_until_read(1.0, "fine")
    edge.counts = {("fine", 200): 80}
    progress = Progress(version="fine", canary_since=time.time())

    def judge() -> Judgement:
        return edge.analysts().judge(of("fine", checks=checks), progress, time.time())

    assert "errors: 0;" in eventually(judge, "good").why


class Site:
    """A Prometheus whose edges counted so much."""

    def __init__(self, requests: float, errors: float) -> None:
        self.requests, self.errors = requests, errors

    def values(self, query: str, at: float) -> tuple[float, ...]:
        return (self.errors if "status" in query else self.requests,)


def test_one_bad_answer_at_a_small_site_is_a_share_of_all_sites_answers() -> None:
    sites: Any = {"eu": Site(998, 0), "dc1": Site(2, 1)}

    judged = Analysts(sites).judge(CONTRACT, Progress(version="v2", canary_since=1.0), 100.0)

    assert (judged.says, judged.why) == ("good", "errors at the edge: 0.001")


def test_no_request_at_all_is_undecided_whatever_few_requests_a_contract_asks_for() -> None:
    sites: Any = {"eu": Site(0, 0)}

    judged = Analysts(sites).judge(
        of("v2", canary_min_requests=0), Progress(version="v2", canary_since=1.0), 100.0
    )

    assert (judged.says, judged.why) == ("undecided", "errors at the edge: no data")


@pytest.mark.parametrize("more", ["", ',status=~"5.."'])
def test_the_own_query_is_one_that_prometheus_understands(more: str, tmp_path: Path) -> None:
    rule = {"alert": "Errors", "expr": counted("shop", "v2", 5.0, more)}
    rules = tmp_path / "rules.yml"
    rules.write_text(json.dumps({"groups": [{"name": "canary", "rules": [rule]}]}))

    done = subprocess.run([need("promtool"), "check", "rules", rules], capture_output=True, check=False)

    assert done.returncode == 0, done.stdout
