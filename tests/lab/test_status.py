"""The hooks' own questions, asked of real programs and doubles through the lab's gateway by real SSH."""

from __future__ import annotations

import json

import pytest

from constructs_lib.components.consul import AUTHORITY
from constructs_lib.errors import HookError
from constructs_lib.hooks.agents import Agents
from constructs_lib.hooks.checks import registry
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import through_gateways
from constructs_lib.hooks.finding import Login
from constructs_lib.hooks.gate import wait_until_ready
from constructs_lib.hooks.platform import TOKEN, Platform, expected
from constructs_lib.lab.keeper import KeptLab, lab_folder
from constructs_lib.plan.lock import read_lock
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from tests.lab.admin import Operator
from tests.lab.asking import LONG, MASTERS, says
from tests.lab.drill import Drill

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
SHORT = 15
"""How long a gate waits for what will not come."""


@pytest.fixture
def operator(lab: KeptLab, workspace: Workspace) -> Operator:
    return Operator(lab, workspace, load(workspace.cluster_file))


def test_agents_are_asked_what_their_containers_use_through_the_gateway(
    operator: Operator,
) -> None:
    cluster = plan(operator.overrides.apply(operator.spec), read_lock(operator.workspace.lock_file))
    with (
        through_gateways(cluster, operator.ssh) as endpoints,
        Platform(cluster, endpoints, Deadline(LONG), {}) as platform,
    ):
        known = [str(agent["id"]) for agent in platform.mesos.agents()]
        counted = Agents(cluster, platform.mesos, endpoints, platform.deadline).count(known)

    # The doubles run nothing, so that there is nothing to count; but each of them answered.
    assert known and not counted.silent and not counted.samples


def test_the_gate_opens_for_a_healthy_platform_and_names_what_is_missing(
    operator: Operator, drill: Drill
) -> None:
    cluster = plan(operator.overrides.apply(operator.spec), read_lock(operator.workspace.lock_file))
    secrets = json.loads((lab_folder(operator.workspace) / "secrets.json").read_text())["secrets"]
    tokens = {"eu": secrets[f"{TOKEN}_eu"]}
    password, authority = secrets["registry_password"], secrets[f"{AUTHORITY}_certificate"]
    login = Login(password=password, authority=authority)
    drill.breaks(
        "Chronos is stopped on all masters",
        "the gate before a deployment tells Chronos alone, with what to do, and opens when it is back",
    )
    said: list[str] = []
    with through_gateways(cluster, operator.ssh) as endpoints:
        with Platform(cluster, endpoints, Deadline(LONG), tokens) as platform:
            asked = expected(cluster, tokens, login)
            findings = wait_until_ready(endpoints, asked, platform.deadline, said.append)
        assert [one.check for one in findings] == [
            "zookeeper", "mesos", "marathon", "chronos", "registry", "consul/eu",
        ]  # fmt: skip
        drill.saw("; ".join(f"{one.check}: {one.says}" for one in findings))
        assert findings[4].says == "answers, and takes the nodes' login"
        wrong = expected(cluster, tokens, Login(password="wrong", authority=authority))
        assert "login refused (401)" in registry(endpoints, wrong, Deadline(LONG)).says

        for master in MASTERS:
            says(operator.lab, master, "systemctl", "stop", "chronos.service", "chronos-watchdog.timer")
        try:
            with pytest.raises(HookError) as closed:
                wait_until_ready(endpoints, expected(cluster, tokens), Deadline(SHORT), said.append)
        finally:
            for master in MASTERS:
                says(operator.lab, master, "systemctl", "start", "chronos.service", "chronos-watchdog.timer")
        lines = str(closed.value).splitlines()
        assert lines[0] == f"the platform is not ready after {SHORT} s; nothing was changed"
        assert [line.split(":")[0].strip() for line in lines[1:]] == ["chronos"]
        drill.saw(lines[1].strip())

        wait_until_ready(endpoints, expected(cluster, tokens), Deadline(LONG), said.append)
    assert not any(secret in line for secret in (*tokens.values(), password) for line in said)
