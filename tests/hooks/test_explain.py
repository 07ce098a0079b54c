"""Golden texts, one per reason: tests/hooks/explain/NAME.yaml holds what was seen and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from constructs_lib.hooks.explain import Explanation, Seen, explain, held_up
from constructs_lib.hooks.placement import judge, offers
from constructs_lib.hooks.registered import Lack
from constructs_lib.hooks.standing import Standing
from constructs_lib.simulator.cluster.matching import FUNNEL

CASES = sorted(Path(__file__).with_name("explain").glob("*.yaml"))
BASE: dict[str, Any] = {"id": "/shop/1a2b3c4d", "cpus": 0.5, "mem": 512, "instances": 2, "healthChecks": [{}]}


def agent(number: int, **also: Any) -> dict[str, Any]:
    """A registered agent of two cpus with 4 GiB, half of it used, changed by what a case says."""
    site = also.pop("region", "eu")
    attributes = {"pool": also.pop("pool", "general"), **also.pop("attributes", {})}
    return {
        "id": f"agent-{number}",
        "hostname": f"10.20.48.{number}",
        "active": True,
        "attributes": attributes,
        "domain": {"fault_domain": {"region": {"name": site}, "zone": {"name": also.pop("zone", "a")}}},
        "resources": {"cpus": 2.0, "mem": 4096.0, "disk": 90000.0, "ports": "[31000-32000]"},
        "used_resources": {"cpus": 1.0, "mem": 2048.0, "disk": 0.0},
        **also,
    }


def seen(case: dict[str, Any]) -> Seen:
    agents = [agent(number, **one) for number, one in enumerate(case.get("agents", [{}, {}]), 11)]
    return Seen(
        contract="shop",
        app={**BASE, **case.get("app", {})},
        queue=case.get("queue"),
        agents=agents,
        home="eu",
        wanted=case.get("wanted", 2),
        blocked_by=[tuple(pair) for pair in case.get("blocked_by", [])],
        least=case.get("least", 0),
        lacks={task: Lack(**one) for task, one in case.get("lacks", {}).items()},
        edges=case.get("edges", []),
        notes=case.get("notes", []),
    )


def told(case: dict[str, Any]) -> Explanation:
    found = explain(seen(case))
    return held_up(found, Standing(**case["stands"]), seen(case)) if "stands" in case else found


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_is_said(path: Path) -> None:
    case = yaml.safe_load(path.read_text())

    assert list(told(case).lines()) == case["says"].rstrip("\n").splitlines()


def test_every_reason_that_marathon_knows_has_a_case() -> None:
    reasons = {
        "role", "constraint", "maintenance", "cpus", "memory", "disk", "gpus", "ports", "other_region",
        "no_offers", "backing_off", "unhealthy", "fetching", "blocked", "fine", "no_agents", "silent",
        "turned_round", "no_requests", "route_behind", "scaled_away", "needed_is_down",
    }  # fmt: skip

    assert reasons <= {path.stem for path in CASES}


def test_every_reason_that_the_simulator_declines_by_has_a_golden_text() -> None:
    summaries = [
        (yaml.safe_load(path.read_text()).get("queue") or {}).get("processedOffersSummary") for path in CASES
    ]
    steps = [step for one in summaries if one for step in one["rejectSummaryLaunchAttempt"]]

    assert set(FUNNEL) == {step["reason"] for step in steps}


def test_the_agent_that_lacks_least_comes_first_and_is_what_one_line_tells() -> None:
    used = [{"used_resources": {"cpus": cpus}} for cpus in (1.75, 1.25, 1.5)]
    found = told({"app": {"cpus": 1.0}, "agents": used, "queue": {"count": 2}})

    assert [one.hostname for one in found.agents] == ["10.20.48.12", "10.20.48.13", "10.20.48.11"]
    assert found.short == (
        "2 of 2 instances wait for an agent that can take one: none of 3 agents can; nearest is 10.20.48.12: "
        "cpus: 1 asked, 0.75 free, 0.25 missing"
    )


def test_what_was_offered_counts_and_not_what_the_agent_has_free() -> None:
    unused = {"offer": {"agentId": "agent-1", "resources": [{"name": "cpus", "scalar": 0.25}]}, "reason": []}
    (offer,) = offers([agent(1)], [unused])

    assert offer.seen
    assert judge({"cpus": 0.5, "mem": 0}, offer, [], "eu").reasons[0] == (
        "cpus: 0.5 asked, 0.25 offered, 0.25 missing"
    )


@pytest.mark.parametrize(
    ("constraint", "running", "refused"),
    [
        (["hostname", "UNIQUE"], [], False),
        (["hostname", "UNIQUE"], ["here"], True),
        (["hostname", "UNIQUE"], ["there"], False),
        (["rack", "MAX_PER", "2"], ["here"], False),
        (["rack", "MAX_PER", "2"], ["here", "here"], True),
        (["rack", "GROUP_BY"], ["here"], False),
        (["rack", "GROUP_BY"], ["here", "here", "there"], True),
        (["rack", "GROUP_BY", "3"], ["here", "there"], True),
        (["rack", "CLUSTER"], ["there"], True),
        (["rack", "CLUSTER", "here"], [], False),
        (["rack", "LIKE", "he.*"], [], False),
        (["rack", "LIKE", "er"], [], True),
        (["rack", "UNLIKE", "he.*"], [], True),
        (["nowhere", "UNLIKE", "he.*"], [], False),
        (["nowhere", "LIKE", ".*"], [], True),
        (["@region", "IS", "eu"], [], False),
        (["@region", "IS", "dc1"], [], True),
        (["@zone", "IS", "a"], [], False),
    ],
)
def test_constraints_count_as_marathon_counts_them(
    constraint: list[str], running: list[str], refused: bool
) -> None:
    (offer,) = offers([agent(1, hostname="here", attributes={"rack": "here"})], [])
    tasks = [{"hostname": where, "attributes": {"rack": where}} for where in running]
    verdict = judge({"cpus": 0.1, "mem": 1, "constraints": [constraint]}, offer, tasks, "eu")

    assert bool(verdict.reasons) is refused, verdict
