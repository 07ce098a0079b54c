"""Contracts' alert rules and targets on their way to Prometheus: contracts.ctmpl and prometheus-contracts."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.components.consul_here import Agent
from tests.components.contracts_here import Contracts

OWN = 'clustermesos_contract_rules_ok{contract="clustermesos"} 1\n'
SETTINGS = "kv/clustermesos/settings/prometheus"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Contracts]:
    contracts = Contracts(tmp_path)
    yield contracts
    contracts.stop()


def group(name: str, alert: str, expr: str = "up == 0") -> list[dict[str, Any]]:
    return [{"name": name, "rules": [{"alert": alert, "expr": expr}]}]


class Metrics(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/own" else 404)
        self.end_headers()
        self.wfile.write(b"shop_orders_total 3\n" if self.path == "/own" else b"")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def application() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.slow
def test_what_contracts_say_reaches_prometheus_and_a_bad_one_harms_no_other(
    server: Agent, acl: object, node: Contracts, application: int
) -> None:
    management = server.secret("management")

    def write(key: str, value: Any) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        assert server.ask(f"{SETTINGS}/{key}", management, "PUT", text.encode())[0] == 200

    body = {"ID": "shop-1", "Name": "shop-m", "Address": "127.0.0.1", "Port": application}
    said = server.ask("agent/service/register", server.secret("service"), "PUT", json.dumps(body).encode())
    assert said[0] == 200, said
    labels = {"contract": "shop", "owner": "shop@example.org", "__metrics_path__": "/own"}
    write("targets/shop", [{"targets": ["shop-m.service.consul"], "labels": labels}])
    write("targets/broken", '[{"targets": ["shop-m.service.consul", ')
    write("rules/shop", group("shop", "AppDown"))
    write("rules/db", group("db", "BackupOverdue"))
    node.start_template(f"127.0.0.1:{server.ports['http']}", server.secret("metrics"))
    node.start_prometheus()

    node.wait("both", lambda: node.alerts() == {"shop": ["AppDown"], "db": ["BackupOverdue"]})
    assert node.platforms_alerts() == ["DownBeforeApply"], "from the node's first boot on"
    orders = 'shop_orders_total{contract="shop",owner="shop@example.org",job="contracts"}'
    node.wait("its metrics", lambda: bool(node.ask("query", query=orders).get("result")))

    write("rules/shop", group("shop", "AppDown", expr="sum(up"))
    write("rules/db", group("db", "BackupVeryOverdue"))
    node.wait("the good one", lambda: node.alerts().get("db") == ["BackupVeryOverdue"])
    assert node.alerts()["shop"] == ["AppDown"], "it keeps what it had"
    assert node.metrics.read_text().splitlines() == [
        'clustermesos_contract_rules_ok{contract="db"} 1',
        'clustermesos_contract_rules_ok{contract="shop"} 0',
        'clustermesos_contract_rules_ok{contract="clustermesos"} 1',
        'clustermesos_contract_targets_ok{contract="broken"} 0',
        'clustermesos_contract_targets_ok{contract="shop"} 1',
    ]
    log = (node.folder / "consul-template.log").read_text()
    assert "prometheus-contracts: rules of shop stay as they were: FAILED: " in log
    assert '8:14: group "shop", rule 1' in log

    # Told to read its files again while a file of targets vanishes, Prometheus would keep those.
    assert server.ask(f"{SETTINGS}?recurse", management, "DELETE")[0] == 200
    node.wait("their end", lambda: node.alerts() == {})
    node.wait("the targets' end", lambda: node.scraped() == [])


@pytest.mark.slow
def test_the_token_reads_rules_and_targets_and_no_other_key(server: Agent, acl: object) -> None:
    token, management = server.secret("metrics"), server.secret("management")
    for key in ("prometheus/rules/x", "prometheus/targets/x", "contracts/x"):
        assert server.ask(f"kv/clustermesos/settings/{key}", management, "PUT", b"[]")[0] == 200

    assert server.ask(f"{SETTINGS}/rules/x", token)[0] == 200
    assert server.ask(f"{SETTINGS}/targets/x", token)[0] == 200
    assert server.ask("kv/clustermesos/settings/contracts/x", token)[0] == 403
    assert server.ask("kv/clustermesos/routes/x", token)[0] == 403
    assert server.ask(f"{SETTINGS}/rules/x", token, "PUT", b"[]")[0] == 403


def test_prometheus_is_told_once_and_only_of_what_changed(node: Contracts) -> None:
    told = ["try-reload-or-restart prometheus.service"]
    target = {"name": "shop", "document": '[{"targets": ["shop.service.consul"], "labels": {}}]'}

    assert node.apply({"shop": group("shop", "A")}).returncode == 0
    assert node.told() == told
    assert node.apply({"shop": group("shop", "A")}).returncode == 0
    there = {"services": {"shop": [["10.0.0.9", 31001], ["fd00::9", 31002]]}}
    assert node.apply({"shop": group("shop", "A")}, [target | there]).returncode == 0
    assert node.told() == told, "targets it follows itself"
    found = json.loads((node.targets / "shop.json").read_text())
    assert found == [{"labels": {}, "targets": ["10.0.0.9:31001", "[fd00::9]:31002"]}]

    node.apply({})
    assert node.told() == told * 2
    assert [path.name for path in node.rules.iterdir()] == ["clustermesos.yml"]
    assert node.metrics.read_text() == OWN


def test_targets_that_are_gone_are_emptied_and_their_file_goes_later(node: Contracts) -> None:
    both = (
        '[{"targets": ["a.service.consul"], "labels": {}}, {"targets": ["a.service.consul"], "labels": {}}]'
    )
    one = '[{"targets": ["a.service.consul"], "labels": {}}]'
    services = {"services": {"a": [["10.0.0.9", 1]]}}
    file = node.targets / "shop.json"
    node.apply({}, [{"name": "shop", "document": both} | services])

    node.apply({}, [{"name": "shop", "document": one} | services])
    assert [group["targets"] for group in json.loads(file.read_text())] == [["10.0.0.9:1"], []]
    node.apply({})
    node.apply({})
    assert [group["targets"] for group in json.loads(file.read_text())] == [[], []]
    os.utime(file, (0, 0))
    node.apply({})
    assert not file.exists()


def test_the_nodes_own_alert_stands_until_consul_has_the_platforms(node: Contracts) -> None:
    file = node.rules / "clustermesos.yml"

    node.apply({"shop": group("shop", "A")})
    assert "DownBeforeApply" in file.read_text()
    node.apply({"clustermesos": group("base", "Whole"), "shop": group("shop", "A")})
    assert "Whole" in file.read_text() and "DownBeforeApply" not in file.read_text()
    node.apply({})
    assert "DownBeforeApply" in file.read_text() and not (node.rules / "shop.yml").exists()


def test_a_prometheus_that_could_not_be_told_is_told_by_the_next_run(node: Contracts) -> None:
    node.systemctl("echo 'bus is busy' >&2; exit 1")

    done = node.apply({"shop": group("shop", "A")})

    assert (done.returncode, done.stderr) == (1, "bus is busy\n")
    node.systemctl()
    assert node.apply({"shop": group("shop", "A")}).returncode == 0
    assert len(node.told()) == 2
    assert node.apply({"shop": group("shop", "A")}).returncode == 0
    assert len(node.told()) == 2


BAD_RULES: dict[str, Any] = {
    "no JSON": '[{"name": ',
    "no list": {"groups": []},
    "null": "null",
    "empty": "",
    "a group that is a number": [7],
    "no expression": [{"name": "a", "rules": [{"alert": "A"}]}],
    "a bad expression": group("a", "A", expr="sum("),
    "a bad template": [
        {"name": "a", "rules": [{"alert": "A", "expr": "up", "annotations": {"s": "{{ $valu }}"}}]}
    ],
    "an unknown field": [{"name": "a", "rule": []}],
    "a bad time": [{"name": "a", "rules": [{"alert": "A", "expr": "up", "for": "soon"}]}],
}


def test_bad_rules_keep_what_was_there_and_are_said_one_by_one(node: Contracts) -> None:
    names = [f"bad-{number}" for number in range(len(BAD_RULES))]
    node.apply({name: group(name, "Former") for name in names})

    done = node.apply({**dict(zip(names, BAD_RULES.values(), strict=True)), "shop": group("shop", "New")})

    assert done.returncode == 0
    assert "New" in (node.rules / "shop.yml").read_text()
    metrics = node.metrics.read_text()
    for name, what in zip(names, BAD_RULES, strict=True):
        assert "Former" in (node.rules / f"{name}.yml").read_text(), what
        assert f"rules of {name} stay as they were: " in done.stderr, what
        assert f'rules_ok{{contract="{name}"}} 0' in metrics, what
    assert "Traceback" not in done.stderr
    assert sorted(path.stem for path in node.rules.iterdir()) == [*names, "clustermesos", "shop"]


BAD_TARGETS: dict[str, Any] = {
    "no JSON": "[",
    "no list": "null",
    "no labels": '[{"targets": []}]',
    "another host": '[{"targets": ["169.254.169.254:80"], "labels": {}}]',
    "a name that was not looked up": '[{"targets": ["other.service.consul"], "labels": {}}]',
    "a label that is a number": '[{"targets": [], "labels": {"a": 1}}]',
}


@pytest.mark.parametrize("what", BAD_TARGETS)
def test_bad_targets_keep_what_was_there(node: Contracts, what: str) -> None:
    good = {"name": "shop", "document": '[{"targets": ["shop.service.consul"], "labels": {"a": "b"}}]'}
    services = {"services": {"shop": [["10.0.0.9", 31001]]}}
    node.apply({}, [good | services])
    before = (node.targets / "shop.json").read_text()

    done = node.apply({}, [{"name": "shop", "document": BAD_TARGETS[what]} | services])

    assert done.returncode == 0 and "targets of shop stay as they were: " in done.stderr
    assert (node.targets / "shop.json").read_text() == before
    assert node.metrics.read_text() == OWN + 'clustermesos_contract_targets_ok{contract="shop"} 0\n'


@pytest.mark.parametrize("name", ["../../shop", "Shop", "a/b", "", ".hidden"])
def test_a_name_that_no_contract_has_puts_no_file_anywhere(node: Contracts, name: str) -> None:
    before = {path for path in node.folder.rglob("*") if path.is_file()}
    done = node.apply({name: group("shop", "A")})

    new = {path.name for path in node.folder.rglob("*") if path.is_file()} - {path.name for path in before}
    assert new == {"wanted.json", "contracts.prom", "clustermesos.yml", "reloads"}
    assert "no contract's name" in done.stderr
