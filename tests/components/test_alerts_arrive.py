"""From contracts to whoever is on call: Consul, consul-template, Prometheus and Alertmanager, all real."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.components.model import Role
from constructs_lib.contracts.compile import compile_contract
from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.hooks.alert_check import alert_check
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.hook import Outcome
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.pipeline import run_hook
from constructs_lib.hooks.settings import Settings
from constructs_lib.nodes.render import render
from constructs_lib.plan.alerts import platform_rules
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.components.alertmanager_here import Alertmanager, alertmanager
from tests.components.consul_here import Agent
from tests.components.contracts_here import Contracts
from tests.contracts.examples import contract
from tests.contracts.test_golden import compiled as examples
from tests.nodes.clusters import WHOLE


@dataclass
class Road:
    """All of it, with the contract `shop` and every example's rules on their way."""

    node: Contracts
    manager: Alertmanager
    settings: Settings
    wanted: Compiled
    said: list[str]

    def check(self, wait: float) -> Outcome:
        at = Instance(node="consul-1", site="eu", address="127.0.0.1", port=self.node.port)
        return alert_check(
            Endpoints(instances={"prometheus/eu": (at,)}),
            self.wanted,
            self.settings.rules,
            ("shop",),
            Deadline(180),
            wait=wait,
            say=self.said.append,
        )


def shop(cluster: ClusterPlan) -> CompiledContract:
    ops: dict[str, Any] = {"instances": 2, "pools": ["general"], "alerts": {"down_seconds": 1}}
    told = contract(dev={"metrics": {}}, **ops).model_copy(
        update={"on_call": "https://pager.example.org/shop"}
    )
    return compile_contract(told, cluster)


@pytest.fixture
def road(server: Agent, acl: object, tmp_path: Path) -> Iterator[Road]:
    with ExitStack() as stack:
        manager = stack.enter_context(alertmanager(tmp_path / "alertmanager"))
        cluster = plan(ClusterSpec.model_validate(WHOLE | {"nodes": {"alertmanagers": [manager.url]}}))
        site = cluster.site("eu")
        # At the only site that there is here, for Prometheus to read their expressions.
        others = [replace(one, targets=(), rule_sites={}) for one in examples().contracts]
        wanted = Compiled(cluster="whole", contracts=(shop(cluster), *others))
        http = f"127.0.0.1:{server.ports['http']}"
        client = Client(Target(name="consul", bases=(f"http://{http}",)), Deadline(180))
        stack.callback(client.close)
        consul = Consul(client, server.secret("management"))
        settings = Settings({"eu": consul}, wanted, platform={"eu": platform_rules(site)}, prune=True)
        node = Contracts(tmp_path)
        stack.callback(node.stop)
        node.start_template(http, server.secret("metrics"))
        node.start_prometheus(render(site, site.nodes_of(Role.CONSUL)[0]))
        yield Road(node, manager, settings, wanted, [])
        consul.kv.delete("clustermesos/settings/", recurse=True)


class Metrics(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"shop_orders_total 3\n")

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def application() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.slow
def test_what_a_contract_says_of_alerts_is_loaded_fires_and_reaches_who_is_on_call(
    road: Road, server: Agent
) -> None:
    assert run_hook(road.settings, lambda _: None).good
    with application() as port:
        service = {"ID": "shop-1", "Name": service_of(road), "Address": "127.0.0.1", "Port": port}
        registered = json.dumps(service).encode()
        said = server.ask("agent/service/register", server.secret("service"), "PUT", registered)
        assert said[0] == 200, said

        outcome = road.check(60)

        # Every rule of the examples and of the platform is as Prometheus writes it.
        assert outcome.good, outcome.verdicts
        assert any("waiting for alerts" in line for line in road.said)
        assert outcome.verdicts[0].says.startswith(f"{len_of(road)} loaded")
        up = 'up{contract="shop"} == 1'
        road.node.wait("an instance that answers", lambda: bool(road.node.ask("query", query=up)["result"]))

    road.node.wait("the alert", lambda: bool(road.manager.labels("alertname=AppDown")))
    (labels,) = road.manager.labels("alertname=AppDown", "contract=shop")
    assert labels == {
        "alertname": "AppDown",
        "severity": "page",
        "contract": "shop",
        "owner": "shop@example.org",
        "on_call": "https://pager.example.org/shop",
        "cluster": "whole",
        "site": "eu",
    }
    after = road.check(0)
    assert "FIRING: AppDown of shop" in after.verdicts[0].says
    assert not after.good and "connection refused" in after.verdicts[1].says


def service_of(road: Road) -> str:
    (group,) = road.wanted.contracts[0].targets
    (name,) = group["targets"]
    return str(name).removesuffix(".service.consul")


def len_of(road: Road) -> int:
    return sum(len(group["rules"]) for each in road.settings.rules["eu"].values() for group in each)
