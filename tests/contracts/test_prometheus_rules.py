"""Alert rules: read by promtool, and each made to fire and kept from firing by `promtool test rules`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from constructs_lib.contracts.compile import compile_contract
from constructs_lib.contracts.model import AppContract
from tests.conftest import need
from tests.contracts.clusters import hybrid
from tests.contracts.examples import contract
from tests.contracts.test_golden import compiled

CASES = Path(__file__).parent / "rules"


def promtool(*arguments: str, cwd: Path) -> None:
    done = subprocess.run(
        [str(need("promtool")), *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def write_rules(folder: Path) -> None:
    """One rule file for each example that has rules, as Prometheus reads them: JSON is YAML."""
    for one in (
        *compiled().contracts,
        compile_contract(everywhere(), hybrid()),
        compile_contract(several(), hybrid()),
    ):
        if one.rules:
            text = json.dumps({"groups": list(one.rules)})
            (folder / f"{one.name}.yml").write_text(text, encoding="utf-8")


def test_promtool_takes_the_rules_of_every_example(tmp_path: Path) -> None:
    write_rules(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkout.yml", "db.yml", "everywhere.yml", "search.yml", "several.yml", "web.yml"]
    promtool("check", "rules", *names, cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", sorted(CASES.glob("*.yml")), ids=lambda case: case.stem)
def test_rules_fire_when_they_should_and_not_before(case: Path, tmp_path: Path) -> None:
    write_rules(tmp_path)
    (tmp_path / "test.yml").write_bytes(case.read_bytes())
    promtool("test", "rules", "test.yml", cwd=tmp_path)


def test_every_alert_of_the_examples_has_a_case() -> None:
    alerts = {rule["alert"] for one in compiled().contracts for group in one.rules for rule in group["rules"]}
    tested = {
        check["alertname"]
        for case in CASES.glob("*.yml")
        for test in yaml.safe_load(case.read_text(encoding="utf-8"))["tests"]
        for check in test["alert_rule_test"]
        if check.get("exp_alerts")
    }
    assert alerts == tested


def rules_of(**ops: Any) -> dict[str, dict[str, Any]]:
    dev: dict[str, Any] = {"metrics": {}}
    found = compile_contract(contract(dev=dev, **ops), hybrid()).rules
    return {rule["alert"]: rule for group in found for rule in group["rules"]}


def test_a_site_reads_only_rules_about_what_its_prometheus_sees() -> None:
    (db,) = (one for one in compiled().contracts if one.name == "db")
    (web,) = (one for one in compiled().contracts if one.name == "web")
    assert [group["name"] for group in db.rules_at("home")] == ["db-backup"]
    assert [group["name"] for group in web.rules_at("home")] == ["web", "web-route"]
    assert db.rules_at("cloud") == web.rules_at("cloud") == ()
    anywhere = compile_contract(everywhere(), hybrid())
    assert anywhere.rules_at("cloud") == anywhere.rules_at("home") != ()


def everywhere() -> AppContract:
    """One that may run at both sites."""
    return contract("everywhere", dev={"metrics": {}}, policy="hybrid", alerts={})


def several() -> AppContract:
    """One whose data is on two nodes, each with its own."""
    return contract(
        "several",
        dev={"state": {"volumes": {"data": {"path": "/data"}}}},
        instances=2,
        pools=["data"],
        nodes=["10.20.80.4", "10.20.80.5"],
        deploy={"strategy": "recreate"},
        backup={"volume": "data", "to": "offsite"},
    )


def test_without_alerts_and_backup_there_is_no_rule() -> None:
    assert rules_of() == {}


def test_an_alert_says_whom_it_is_for_and_what_to_do() -> None:
    rule = rules_of(alerts={"page": False, "runbook": "https://wiki.example.org/shop"})["AppDown"]
    assert rule["labels"] == {
        "severity": "ticket",
        "contract": "shop",
        "owner": "shop@example.org",
        "on_call": "shop@example.org",
    }
    assert rule["annotations"]["runbook_url"] == "https://wiki.example.org/shop"
    assert "clustermesos explain shop" in rule["annotations"]["description"]


def test_numbers_of_the_contract_are_in_the_rules() -> None:
    found = rules_of(
        instances=4,
        route={"host": "shop.example.org"},
        alerts={"down_seconds": 30, "min_percent": 75, "restarts_per_hour": 2, "error_percent": 3},
    )
    assert found["AppDown"]["expr"].endswith("< 3") and found["AppDown"]["for"] == "30s"
    assert found["AppRestarts"]["expr"].endswith("> 6")
    assert found["RouteErrors"]["expr"].endswith("> 0.03")


def test_metrics_are_read_where_the_contract_says() -> None:
    targets = compile_contract(
        contract(dev={"ports": {"http": 80, "m": 81}, "metrics": {"port": "m"}}), hybrid()
    )
    assert targets.targets == (
        {
            "targets": ["shop-m.service.consul"],
            "labels": {"contract": "shop", "owner": "shop@example.org", "__metrics_path__": "/metrics"},
        },
    )
