"""The platform's own alert rules: read by promtool, and each made to fire and kept from firing by it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from constructs_lib.components import COMPONENTS
from constructs_lib.components.platform_backup import PLATFORM_BACKUP
from constructs_lib.nodes.metrics import scrapes
from constructs_lib.plan.alerts import platform_rules
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from scripts.progress import ROOT
from tests.conftest import need
from tests.nodes.clusters import CASES, HYBRID, WHOLE, site
from tests.plan.clusters import cluster

FOLDER = Path(__file__).parent / "alerts"


def rules(planned: SitePlan) -> dict[str, Any]:
    return {rule["alert"]: rule for group in platform_rules(planned) for rule in group["rules"]}


def whole() -> SitePlan:
    """The cluster with everything, its own state's backups too."""
    fields: dict[str, Any] = {
        "backups": {
            "offsite": {
                "repository": "s3:https://s3.eu-west-3.amazonaws.com/saved",
                "password": "backup/platform",
            }
        },
        "app_secrets": {"backup/platform": {"pools": []}},
        "platform_backup": {"to": "offsite"},
    }
    return plan(ClusterSpec.model_validate(WHOLE | fields)).site("eu")


def promtool(folder: Path, *words: str) -> None:
    done = subprocess.run(
        [str(need("promtool")), *words], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def write(folder: Path, planned: SitePlan) -> None:
    (folder / "rules.yml").write_text(json.dumps({"groups": platform_rules(planned)}))


@pytest.mark.parametrize("case", CASES)
def test_promtool_takes_the_rules(case: str, tmp_path: Path) -> None:
    write(tmp_path, site(case))
    promtool(tmp_path, "check", "rules", "rules.yml")


@pytest.mark.slow
@pytest.mark.parametrize("case", sorted(path.name for path in FOLDER.glob("*.yml")))
def test_an_alert_fires_when_it_should_and_not_before(case: str, tmp_path: Path) -> None:
    write(tmp_path, whole())
    (tmp_path / "test.yml").write_bytes((FOLDER / case).read_bytes())
    promtool(tmp_path, "test", "rules", "test.yml")


def test_every_declared_alert_has_a_case() -> None:
    declared = {alert.name for component in COMPONENTS for alert in component.alerts}
    tested = {
        check["alertname"]
        for case in FOLDER.glob("*.yml")
        for test in yaml.safe_load(case.read_text(encoding="utf-8"))["tests"]
        for check in test["alert_rule_test"]
        if check.get("exp_alerts")
    }
    assert declared == set(rules(whole())) == tested

    saving = {alert.name for alert in PLATFORM_BACKUP.alerts}
    assert set(rules(site("whole"))) == declared - saving


def test_every_job_that_a_rule_asks_for_is_one_that_prometheus_has() -> None:
    planned = site("whole")
    here = {component.name for component in COMPONENTS}
    jobs = {scrape.name for scrape in scrapes(planned, here)}

    for name, rule in rules(planned).items():
        for asked in re.findall(r'job=~?"([^"]+)"', rule["expr"]):
            assert any(re.fullmatch(asked, job) for job in jobs), f"{name}: {asked}"


def test_a_site_has_alerts_for_what_it_runs_alone() -> None:
    found = {
        name: set(rules(planned)) for name, planned in plan(ClusterSpec.model_validate(HYBRID)).sites.items()
    }
    home = plan(ClusterSpec.model_validate(HYBRID)).site("eu").home

    assert {"ZooKeeperQuorumLost", "MesosLeaderless"} <= found[home]
    for name in set(found) - {home}:
        assert not {"ZooKeeperQuorumLost", "MesosLeaderless", "MarathonDown"} & found[name]
        assert {"NodeDown", "ConsulLeaderless"} <= found[name]


def test_what_has_no_metrics_or_is_left_out_has_no_alert() -> None:
    software = {"components": {"zookeeper": {"source": "apt"}, "chronos": {"enabled": False}}}
    found = rules(plan(ClusterSpec.model_validate(WHOLE | {"software": software})).site("eu"))

    assert not {"ZooKeeperQuorumLost", "MesosLeaderless"} & found.keys()


def test_agents_are_counted_against_the_least_that_the_pools_have() -> None:
    pools = {"a": {"count": 2}, "b": {"min": 1, "max": 9}}
    rule = rules(plan(cluster(agents=pools)).site("eu"))["AgentsMissing"]

    assert rule["expr"].endswith("< 3") and "at least 3 agents" in rule["annotations"]["summary"]
    assert "AgentsMissing" not in rules(plan(cluster()).site("eu"))


def test_units_of_all_that_a_site_runs_have_to_be_active_and_none_that_only_some_nodes_have() -> None:
    found = rules(whole())["UnitDown"]["expr"]
    bare = rules(plan(cluster()).site("eu"))["UnitDown"]["expr"]

    for unit in (
        "mesos-agent.service",
        "zookeeper.service",
        "clustermesos-firewall.service",
        "registry-gc.timer",
    ):
        assert unit in found
    assert "platform-backup.timer" in found and "platform-backup.timer" not in bare
    assert "mesos-agent.service" not in bare
    # Started by a watchdog on one master, and of a log server alone.
    assert not any(unit in found for unit in ("chronos.service", "rsyslog.service"))


UNIT_IN_A_COMMAND = re.compile(
    r"(?:journalctl(?: -\w+)* -u|systemctl (?:status|restart|start|stop)) ([\w.@-]+\w)"
)


def declared_units() -> set[str]:
    """Units that components start, or put on a node for a timer to start; a template's with its instance."""
    found: set[str] = set()
    for component in COMPONENTS:
        paths = [Path(file.to) for file in component.files]
        found.update(component.units, component.boot_units)
        found.update(path.name for path in paths if str(path.parent) == "/etc/systemd/system")
    return found


def test_a_command_that_an_alert_gives_names_a_unit_that_nodes_have() -> None:
    said = {
        f"{alert.name}: {unit}": unit
        for component in COMPONENTS
        for alert in component.alerts
        for unit in UNIT_IN_A_COMMAND.findall(alert.next)
    }
    units = declared_units()

    assert {"RegistryDown: docker-registry", "MarathonDown: marathon"} <= said.keys()
    assert [where for where, unit in said.items() if not {unit, f"{unit}.service"} & units] == []


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_a_command_of_the_docs_names_a_unit_that_nodes_have(page: str) -> None:
    units = declared_units() | {"clustermesos-apply.service"}
    said = UNIT_IN_A_COMMAND.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))

    assert [unit for unit in said if not {unit, f"{unit}.service"} & units] == []
