"""A site that does not answer holds up nothing at the home site, and what it missed is made up for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.access.forward import Forwards
from constructs_lib.access.ssh import Ssh
from constructs_lib.contracts.compiled import CompiledContract, Route
from constructs_lib.errors import HookError
from constructs_lib.hooks import endpoints as ways
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.applications import as_it_is
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.edge import PlannedEdges
from constructs_lib.hooks.gate import spared_sites
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.patience import Patience
from constructs_lib.hooks.pipeline import run_hook
from constructs_lib.hooks.reached import Reached
from constructs_lib.hooks.rollout import Rollout
from constructs_lib.hooks.settings import FOLDER, Settings
from constructs_lib.hooks.simulated import simulators
from scripts.embedded_aws import free_port
from tests.hooks.checked_platform import CLUSTER
from tests.hooks.rolling_platform import NoEdges, Platform
from tests.hooks.served import deregister, register, served
from tests.hooks.simulated import compiled
from tests.hooks.test_documents import Site
from tests.lab.asking import until


def refused() -> Consul:
    target = Target(name="consul of dc1", bases=(f"http://127.0.0.1:{free_port()}",))
    return Consul(Client(target, Deadline(600), patience=Patience(0.4, afterwards=0.1)), "a-token")


def rollout(platform: Platform, away: Any) -> Rollout:
    sites: Any = {"eu": platform.consul_client(), "dc1": away}
    return Rollout(
        marathon=platform.rollout().marathon,
        sites=sites,
        home="eu",
        edges=NoEdges(),
        now=platform.cluster.now,
    )


def routed(contract: CompiledContract) -> CompiledContract:
    return replace(contract, route=Route(host="h.example.org", path="/", service=contract.name))


@pytest.mark.slow
def test_a_former_version_is_gone_back_to_and_the_site_gets_the_route_once_it_answers(
    platform: Platform,
) -> None:
    first, second = routed(platform.contract("v1")), routed(platform.contract("v2"))
    for one in (first, second):
        assert platform.deploy(one).good
    cut = rollout(platform, refused())

    assert cut.deploy(first, platform.deadline(), platform.told.append).good

    assert platform.running() == {"v1": 2}
    [(site_name, said)] = cut.documents.of(platform.name).silent.items()
    assert site_name == "dc1"
    assert said.startswith("connection refused")
    assert cut.pending(first) == ()
    site = Site()
    again = rollout(platform, site)
    assert again.pending(first) == ("route is missing in dc1",)
    assert again.deploy(first, platform.deadline(), platform.told.append).good
    assert list(site.kept) == [f"clustermesos/routes/{platform.name}"]


@pytest.mark.slow
def test_a_route_is_forgotten_at_home_only_once_it_is_gone_everywhere(platform: Platform) -> None:
    platform.deploy(routed(platform.contract("v1")))
    documents = rollout(platform, refused()).documents

    with pytest.raises(ApiError, match="connection refused"):
        documents.forget_route(platform.name)

    assert documents.of(platform.name).route is not None


def test_edges_of_a_site_whose_consul_is_silent_too_may_still_send_requests() -> None:
    instances = {"edge/dc1": [f"127.0.0.1:{free_port()}"]}
    edges = PlannedEdges(simulators(instances), {"dc1": refused()}, Deadline(60))

    assert [(one.name, one.routes) for one in edges.look()] == [("simulator-1.dc1", None)]


@pytest.mark.slow
def test_settings_are_written_at_home_and_the_site_that_lacks_them_is_told(platform: Platform) -> None:
    hook = Settings(
        {"dc1": refused(), "eu": platform.consul_client()},
        compiled(replace(platform.contract("v1"), settings={f"{platform.name}/colour": "blue"})),
        home="eu",
    )

    outcome = run_hook(hook, platform.told.append)

    assert platform.consul_client().kv.get(f"{FOLDER}{platform.name}/colour")[1]["Value"] == b"blue"
    assert [(one.name, one.good) for one in outcome.verdicts] == [("eu", True), ("dc1", False)]
    assert "connection refused" in outcome.verdicts[1].says
    assert [
        one.name for one in outcome.changes if one.action == "keep" and "not known" in one.details[0]
    ] == ["dc1"]


def test_what_is_registered_at_home_is_judged_and_what_may_be_elsewhere_is_not_called_wrong(
    platform: Platform,
) -> None:
    contract = served(platform)
    app = platform.rollout().marathon.app(contract.app.id)
    assert app is not None
    consul = platform.consul_client()
    with platform.connected() as found:
        consuls = {"dc1": refused(), "eu": consul}
        register(platform, contract, "passing")
        until("Consul's catalog", 30, lambda: len(consul.health.service(contract.service)[1]) == 2)
        seen = Reached(found, consuls).seen(contract, app, as_it_is(contract, app))
        assert (seen.good, seen.sure) == (True, True)

        deregister(platform)
        until("Consul's catalog", 30, lambda: not consul.health.service(contract.service)[1])
        seen = Reached(found, consuls).seen(contract, app, as_it_is(contract, app))
        assert (seen.good, seen.sure) == (True, False)
        assert "by Marathon's word; consul of dc1: GET " in seen.says


@pytest.mark.parametrize("lost", ["gateway-1.eu", "gateway-1.dc1"])
def test_a_gateway_of_the_home_site_alone_stops_a_command(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def forwarded(_ssh: Ssh, _ports: Any) -> Iterator[Forwards]:
        # The nodes behind a gateway are lost with it.
        yield Forwards({}, dict.fromkeys((lost, lost.replace("gateway", "consul")), "no route to host"))

    monkeypatch.setattr(ways, "forwarded", forwarded)
    ssh: Any = None
    if lost.endswith(".eu"):
        with (
            pytest.raises(HookError, match=r"gateway-1\.eu: no route to host"),
            ways.through_gateways(CLUSTER, ssh),
        ):
            pass
        return
    with ways.through_gateways(CLUSTER, ssh) as found:
        (there,) = found.instances["consul/dc1"]
        assert found.lost[there.where] == "no route to host"


@pytest.mark.parametrize(
    ("regions", "spared"),
    [([], set()), ([["@region", "IS", "eu"]], {"dc1"}), ([["@region", "LIKE", "dc1|eu"]], set())],
)
def test_a_site_is_needed_by_contracts_whose_instances_may_be_there(
    platform: Platform, regions: list[Any], spared: set[str]
) -> None:
    one = platform.contract("v1")
    app = replace(one.app, body={**one.app.body, "constraints": regions})
    with platform.connected() as found:
        found.plan = CLUSTER
        assert spared_sites(found, compiled(replace(one, app=app))) == spared
