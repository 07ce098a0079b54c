"""Explanations of deployments that really went wrong: simulated Marathon, real Consul, real rollout."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.contracts.compiled import Compiled, CompiledContract, Route
from constructs_lib.errors import HookError
from constructs_lib.hooks.by_hand import pause
from constructs_lib.hooks.documents import RouteDocument
from constructs_lib.hooks.explain import Explanation
from constructs_lib.hooks.explaining import explain_contract
from constructs_lib.hooks.hook import Verdict
from constructs_lib.hooks.run import applications
from constructs_lib.simulator.cluster.profiles import Profile
from tests.hooks.rolling_platform import Platform
from tests.hooks.scripted_server import scripted
from tests.hooks.served import deregister, edge_says, register, served
from tests.lab.asking import until


def said(platform: Platform, contract: CompiledContract, **other: Any) -> Explanation:
    with platform.connected(**other) as found:
        return explain_contract(found, Compiled(cluster="shop", contracts=(contract,)), contract.name)


def turned_round(platform: Platform) -> CompiledContract:
    platform.deploy(platform.contract("v1"))
    platform.cluster.profile("*/v2", Profile(healthy_after=None, fails_after=1.0))
    second = platform.contract("v2")
    assert not platform.deploy(second).good
    platform.cluster.advance(30)
    return second


def test_a_version_that_turned_round_is_told_with_its_reason_its_last_failure_and_who_serves(
    platform: Platform,
) -> None:
    second = turned_round(platform)

    found = said(platform, second)

    assert not found.good
    assert found.app == f"/{platform.name}/v2"
    assert found.why.startswith("version v2 was given up: crash loop:"), found.why
    assert any(fact.startswith("last failure: TASK_FAILED on 10.0.0.2") for fact in found.facts), found.facts
    assert found.try_next == (
        "its output: on 10.0.0.2, sudo docker ps --all, sudo docker logs; then another version in the "
        "contract, or clustermesos apply --retry"
    )
    (former,) = found.others
    assert (former.app, former.good, former.why) == (
        f"/{platform.name}/v1",
        True,
        "2 of 2 instances serve, nothing is wrong",
    )


@pytest.mark.slow
def test_a_version_that_got_no_room_says_what_each_agent_lacks_although_nothing_waits_any_longer(
    platform: Platform,
) -> None:
    platform.deploy(platform.contract("v1"))
    second = platform.contract("v2")
    big = replace(second, app=replace(second.app, body={**second.app.body, "cpus": 99}))
    assert not platform.deploy(big).good

    found = said(platform, big)

    assert "no progress for 60 s" in found.why
    assert [one.reasons[0].partition(",")[0] for one in found.agents] == ["cpus: 99 asked"]


def test_where_the_version_that_serves_fails_as_well_it_comes_first(platform: Platform) -> None:
    second = turned_round(platform)
    (task, *_) = [task for task in platform.cluster.tasks() if task.owner.endswith("/v1")]
    platform.cluster.profile("*/v1", Profile(healthy_after=None))
    platform.rollout().marathon.kill([task.id], scale=False)
    platform.cluster.advance(30)

    found = said(platform, second)

    assert (found.app, found.good) == (f"/{platform.name}/v1", False)
    assert [one.why.partition(":")[0] for one in found.others] == ["version v2 was given up"]


def test_in_the_middle_both_versions_are_told_and_a_pause_names_the_word_that_ends_it(
    platform: Platform,
) -> None:
    platform.deploy(platform.contract("v1"))
    second = platform.contract("v2")
    with pytest.raises(HookError, match="not done in time"):
        platform.deploy(second, seconds=3.0)

    found = said(platform, second)

    assert found.why.startswith("version v2 is being deployed (rolling)"), found.why
    assert [one.app for one in (found, *found.others)] == [f"/{platform.name}/v2", f"/{platform.name}/v1"]
    pause(platform.rollout().documents, platform.name)
    assert said(platform, second).try_next == f"clustermesos resume {platform.name}"


def test_a_canary_that_waits_for_somebody_says_for_what(platform: Platform) -> None:
    platform.deploy(platform.contract("v1"))
    canary = platform.contract("v2", "canary", promote="manual")
    platform.deploy(canary)

    found = said(platform, canary)

    assert "waits for promotion of canary v2" in found.why
    assert found.try_next == f"clustermesos promote {platform.name}, or clustermesos rollback {platform.name}"


def test_without_consul_the_rest_is_told_and_that_it_is_missing(platform: Platform) -> None:
    contract = platform.contract("v1")
    platform.deploy(contract)

    found = said(platform, contract, consul="http://127.0.0.1:9")

    assert found.good
    assert any(fact.startswith("how its deployment stands") for fact in found.facts), found.facts


def shown(platform: Platform, contract: CompiledContract, **other: Any) -> Verdict:
    """The row of `status`."""
    with platform.connected(**other) as found:
        return applications(found, Compiled(cluster="shop", contracts=(contract,)))[0]


def test_what_consul_calls_failing_is_no_instance_that_serves_for_explain_and_for_status(
    platform: Platform,
) -> None:
    contract = served(platform)

    def status() -> Verdict:
        return shown(platform, contract)

    missing = said(platform, contract)
    assert "2 of 2 instances get no requests" in missing.why and "is not registered in Consul" in missing.why
    assert not status().good and "is not registered in Consul" in status().says

    register(platform, contract, "critical")
    try:
        until("what Consul says", 30, lambda: ": 503" in said(platform, contract).why)
        failing = said(platform, contract)
        assert "readiness is critical: HTTP GET http://10.0.0.2/ready: 503 Service Unavailable" in failing.why
        assert "hush" not in str(failing)
        assert failing.try_next == "its output: on 10.0.0.2, sudo docker ps --all, sudo docker logs"
        assert (status().good, status().try_next) == (False, f"clustermesos explain {platform.name}")

        register(platform, contract, "passing")
        until("what Consul says", 30, lambda: said(platform, contract).good)
        until("what Consul says", 30, lambda: status().good)
        assert status().mark == "ok"
    finally:
        deregister(platform)


def test_the_one_instance_of_several_that_never_registered_is_missed_without_a_route_too(
    platform: Platform,
) -> None:
    contract = served(platform)
    assert contract.route is None
    register(platform, contract, "passing")
    try:
        until("what Consul says", 30, lambda: shown(platform, contract).mark == "ok")
        lost = deregister(platform, most=1)

        until("Consul's catalog", 30, lambda: not shown(platform, contract).good)

        row = shown(platform, contract)
        assert f"{lost} is not registered in Consul" in row.says
        assert row.try_next == f"clustermesos explain {platform.name}"
        assert "1 of 2 instances get no requests" in said(platform, contract).why
    finally:
        deregister(platform)


def test_an_application_that_lacks_nothing_costs_one_question_at_consul(platform: Platform) -> None:
    contract = served(platform)
    register(platform, contract, "passing")
    try:
        until("what Consul says", 30, lambda: shown(platform, contract).mark == "ok")
        with platform.connected() as found:
            applications(found, Compiled(cluster="shop", contracts=(contract,)))
            asked = sum(client.requests for client in found.clients if client.target.name == "consul")
        assert asked == 1
    finally:
        deregister(platform)


def test_what_an_edge_lacks_is_told_by_explain_and_by_status(platform: Platform) -> None:
    contract = served(platform)
    route = Route(host="shop.example.org", path="/", service=platform.name)
    contract = replace(contract, route=route)
    document = RouteDocument(
        contract=platform.name,
        service=platform.name,
        host=route.host,
        path="/",
        generation=5,
        weights={"v1": 100},
    )
    platform.rollout().documents.store_route(document, 0)
    register(platform, contract, "passing")
    try:
        until("Consul's catalog", 30, lambda: "not registered" not in said(platform, contract).why)
        with scripted(edge_says(platform, generation=5, instances=1)) as edge:
            found = said(platform, contract, edge=edge.address)
            assert "1 of 2 instances get no requests" in found.why
            assert "is not known to the edge simulator-1.eu" in found.why
            row = shown(platform, contract, edge=edge.address)
            assert not row.good
            assert "the edge simulator-1.eu does not know 1 of 2 healthy instances" in row.says
        with scripted(edge_says(platform, generation=4, instances=2, problem="host is bad")) as edge:
            trouble = "nginx on simulator-1.eu does not take its newest route: host is bad"
            assert said(platform, contract, edge=edge.address).why == trouble
            assert trouble in shown(platform, contract, edge=edge.address).says
        with scripted(edge_says(platform, generation=5, instances=2)) as edge:
            assert said(platform, contract, edge=edge.address).good
            assert shown(platform, contract, edge=edge.address).mark == "ok"
    finally:
        deregister(platform)
