"""`apply` of contracts of which nothing differs: a dependent waits until visitors get what it stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from constructs_lib.contracts.compiled import Compiled, CompiledContract, Route
from constructs_lib.hooks.documents import RouteDocument
from constructs_lib.hooks.hook import Outcome
from constructs_lib.hooks.pipeline import run_apps
from constructs_lib.hooks.run import Run
from tests.hooks.rolling_platform import Platform
from tests.hooks.scripted_server import Asked, Says, scripted
from tests.hooks.served import deregister, edge_says, register, served
from tests.lab.asking import until


def dependent(contract: CompiledContract) -> CompiledContract:
    """Another contract, not deployed yet, which Consul does not know: Marathon's word is enough for it."""
    name = f"{contract.name}-shop"
    labels = {**contract.app.body["labels"], "clustermesos/contract": name}
    app = replace(contract.app, id=f"/{name}/v1", body={**contract.app.body, "labels": labels})
    return replace(contract, name=name, app=app, service=None, route=None, depends_on=(contract.name,))


def applied(platform: Platform, *contracts: CompiledContract, edge: str | None = None) -> Outcome:
    """The applications of one `apply`; what it says is in `platform.told`."""
    compiled = Compiled(cluster="shop", contracts=contracts)
    with platform.connected(edge=edge) as found:
        run = Run.of(found, compiled, say=platform.told.append)
        return run_apps(compiled, run.applications, found.deadline, platform.told.append)


@contextmanager
def at_consul(platform: Platform, contract: CompiledContract, status: str) -> Iterator[None]:
    register(platform, contract, status)
    try:
        consul = platform.consul_client()
        until(
            "Consul's catalog",
            30,
            lambda: (
                [
                    check["Status"]
                    for check in consul.health.state("any")[1]
                    if check.get("ServiceName") == contract.service
                ]
                == [status] * 2
            ),
        )
        yield
    finally:
        deregister(platform)


def with_route(platform: Platform, contract: CompiledContract) -> CompiledContract:
    route = Route(host="shop.example.org", path="/", service=platform.name)
    document = RouteDocument(
        contract=platform.name,
        service=platform.name,
        host=route.host,
        path="/",
        generation=5,
        weights={"v1": 100},
    )
    platform.rollout().documents.store_route(document, 0)
    return replace(contract, route=route)


def test_what_stands_on_an_unchanged_application_that_fails_in_consul_is_not_deployed(
    platform: Platform,
) -> None:
    contract = served(platform)
    shop = dependent(contract)

    with at_consul(platform, contract, "critical"):
        outcome = applied(platform, contract, shop)

    bad, blocked = outcome.verdicts
    assert (bad.good, blocked.good, outcome.good) == (False, False, False)
    assert "fails in Consul: readiness is critical: HTTP GET http://10.0.0.2/ready: 503" in bad.says
    assert bad.try_next == f"clustermesos explain {contract.name}"
    assert blocked.says == f"not touched: it depends on {contract.name}, which is not as its contract says"
    assert platform.rollout().marathon.app(shop.app.id) is None
    assert platform.running() == {"v1": 2}, "nothing is done to the one that fails"


def test_what_stands_on_an_unchanged_application_that_an_edge_lacks_is_not_deployed(
    platform: Platform,
) -> None:
    contract = with_route(platform, served(platform))
    shop = dependent(contract)

    with (
        at_consul(platform, contract, "passing"),
        scripted(edge_says(platform, generation=5, instances=1)) as edge,
    ):
        outcome = applied(platform, contract, shop, edge=edge.address)

    bad, blocked = outcome.verdicts
    assert (bad.good, blocked.good) == (False, False)
    assert bad.says.endswith("the edge simulator-1.eu does not know 1 of 2 healthy instances")
    assert platform.rollout().marathon.app(shop.app.id) is None


def test_an_apply_that_has_nothing_to_deploy_is_not_good_where_visitors_get_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("constructs_lib.hooks.run.wait_until_ready", lambda *_, **__: ())
    contract = served(platform)
    compiled = Compiled(cluster="shop", contracts=(contract,))

    def good() -> bool:
        with platform.connected() as found:
            return Run.of(found, compiled).apply().good

    with at_consul(platform, contract, "critical"):
        assert not good()
    with at_consul(platform, contract, "passing"):
        assert good()


def test_what_serves_is_silent_and_its_dependent_is_deployed(platform: Platform) -> None:
    contract = with_route(platform, served(platform))
    shop = dependent(contract)
    platform.told.clear()

    with (
        at_consul(platform, contract, "passing"),
        scripted(edge_says(platform, generation=5, instances=2)) as edge,
    ):
        outcome = applied(platform, contract, shop, edge=edge.address)

    assert outcome.good
    assert [one.name for one in outcome.changes if one.action != "keep"] == [shop.name]
    assert [line for line in platform.told if line.startswith(f"{contract.name}:")] == []


def test_a_check_that_passes_again_in_a_moment_is_waited_for(platform: Platform) -> None:
    contract = with_route(platform, served(platform))
    looks = 0

    def edge_comes_round(_asked: Asked) -> Says:
        nonlocal looks
        looks += 1
        return edge_says(platform, generation=5, instances=1 if looks < 4 else 2)

    with at_consul(platform, contract, "passing"), scripted(edge_comes_round) as edge:
        outcome = applied(platform, contract, edge=edge.address)

    assert outcome.good
    waits = [line for line in platform.told if "waits to get requests" in line]
    assert len(waits) == 1, "it is told once, not at each look"


def test_patience_is_one_for_all_contracts_of_a_run(platform: Platform) -> None:
    contract = served(platform)
    began = platform.cluster.now()

    with at_consul(platform, contract, "critical"):
        outcome = applied(platform, *(contract,) * 20)

    assert not outcome.good
    assert platform.cluster.now() - began < 60


@pytest.mark.parametrize("number", [1, 40])
def test_unchanged_contracts_cost_a_site_one_question_however_many_they_are(
    platform: Platform, number: int
) -> None:
    contract = served(platform)

    def requests(ask: Callable[[Run], object]) -> int:
        with platform.connected() as found:
            before = found.requests
            ask(Run.of(found, compiled))
            return found.requests - before

    compiled = Compiled(cluster="shop", contracts=(contract,) * number)
    with at_consul(platform, contract, "passing"):
        deployed = requests(
            lambda run: [
                run.applications.deploy(one, platform.deadline(), print) for one in compiled.contracts
            ]
        )
        planned = requests(lambda run: [run.applications.changes(one) for one in compiled.contracts])

    assert planned == 2, "Marathon's apps, and what Consul keeps"
    assert deployed == planned + 1
