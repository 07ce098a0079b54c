"""The platform's own alerts, asked of the lab's Prometheus: none on a healthy cluster, one of a dead unit."""

from __future__ import annotations

import json
from functools import partial
from urllib.parse import urlencode

import pytest

from constructs_lib.lab.keeper import KeptLab
from constructs_lib.lab.overrides import read_overrides
from constructs_lib.plan.alerts import platform_rules
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from tests.lab.asking import LONG, says, seen
from tests.lab.drill import Drill

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]

SILENT = ("NodeDown", "AgentsMissing", "UnitDown", "UnitFailed", "CertificateExpires")
"""Not ClockUnsynchronised: the clock is that of the computer below."""
FIRST_BOOT = " unless on (instance) time() - node_boot_time_seconds"
"""That of the computer below, too, and maybe a moment ago."""


@pytest.fixture
def rules(workspace: Workspace) -> dict[str, str]:
    """Alert → expression, as apply would write it, but for how far it looks back: a drill was just before."""
    planned = plan(read_overrides().apply(load(workspace.cluster_file))).site("eu")
    found = {rule["alert"]: rule["expr"] for group in platform_rules(planned) for rule in group["rules"]}
    return {name: expr.partition(FIRST_BOOT)[0].replace("[5m]", "[1m]") for name, expr in found.items()}


def asked(lab: KeptLab, expression: str) -> list[dict[str, str]]:
    """The labels of what the Prometheus of consul-1 finds."""
    url = f"http://127.0.0.1:9090/api/v1/query?{urlencode({'query': expression})}"
    answer = json.loads(says(lab, "consul-1", "curl", "--silent", "--fail", url))
    return [one["metric"] for one in answer["data"]["result"]]


def test_a_healthy_cluster_raises_no_alert_of_its_nodes(lab: KeptLab, rules: dict[str, str]) -> None:
    units = 'count by (instance) (node_systemd_unit_state{state="active"} == 1)'
    for told in (units, "count by (instance) (node_systemd_service_restart_total)"):
        seen(told, LONG, partial(asked, lab, told), lambda found: len(found) == len(lab.names()))
    seen("the certificate's days", LONG, partial(asked, lab, rules["CertificateExpires"].partition(" < ")[0]))
    for name in SILENT:
        # What a drill just before did is read half a minute later.
        seen(f"{name} is silent", 2 * LONG, partial(asked, lab, rules[name]), lambda found: not found)


def test_a_mesos_agent_that_is_dead_is_told(lab: KeptLab, drill: Drill, rules: dict[str, str]) -> None:
    drill.breaks(
        "the Mesos agent of a machine is stopped, and all else of the machine runs",
        "Prometheus tells which unit of which node does not run",
    )
    says(lab, "general-1", "systemctl", "stop", "mesos-agent")
    try:
        [dead] = seen("UnitDown", LONG, partial(asked, lab, rules["UnitDown"]))
        assert dead["name"] == "mesos-agent.service"
        assert dead["instance"].startswith("general-1.")
        drill.saw("UnitDown names mesos-agent.service and the agent")
    finally:
        says(lab, "general-1", "systemctl", "start", "mesos-agent")
