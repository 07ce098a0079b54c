from __future__ import annotations

import re
from ipaddress import IPv4Network
from typing import Any

import pytest

from constructs_lib.errors import ResourceError, SpecError
from constructs_lib.openstack import MesosCluster, Network, site_provider
from constructs_lib.terraform import Expr, TerraformStack
from tests.hybrid.clusters import cluster_plan
from tests.openstack.clusters import (
    CASES,
    Json,
    cluster_stack,
    plan_of,
    resources,
    settings,
    site_plan,
    synthesize,
    with_site,
)


@pytest.mark.parametrize("case", CASES)
def test_the_output_has_every_node_pool_and_late_value(case: str) -> None:
    site = site_plan(case)

    described = cluster_stack(site)["output"]["cluster"]["value"]

    assert sorted(described["nodes"]) == sorted(node.name for node in site.nodes)
    assert sorted(described["pools"]) == sorted(pool.name for pool in site.pools)
    assert sorted(described["late_values"]) == sorted(late.name for late in site.late_values)
    for node in site.nodes:
        shown = described["nodes"][node.name]
        assert (shown["role"], shown["address"]) == (node.role, str(node.address))
    assert described["login"]["user"] == site.admin.user
    assert described["gateway"]["public_address"] == described["login"]["gateway"]
    assert bool(described["endpoints"]) == (site.edge_spec is not None)


@pytest.mark.parametrize("case", CASES)
def test_machines_and_volumes_say_whose_they_are(case: str) -> None:
    site = site_plan(case)
    kinds = ("openstack_compute_instance_v2.", "openstack_blockstorage_volume_v3.")
    for address, body in resources(cluster_stack(site)).items():
        if address.startswith(kinds):
            assert body["metadata"]["clustermesos:cluster"] == site.cluster, address
            assert {key: body["metadata"][key] for key in site.tags} == dict(site.tags), address


@pytest.mark.parametrize("case", CASES)
def test_every_tag_of_neutron_is_short_enough(case: str) -> None:
    for address, body in resources(cluster_stack(site_plan(case))).items():
        assert all(len(tag) <= 60 for tag in body.get("tags", ())), address


def test_two_clusters_fit_into_one_foreign_stack() -> None:
    first = site_plan("small")
    second = plan_of(with_site(settings("small") | {"name": "other"}, network="10.40.0.0/20"))

    def build(stack: TerraformStack) -> None:
        site_provider(stack, first)
        MesosCluster(stack, "small", plan=first)
        values = {secret.name: f"${{var.other_{secret.name}}}" for secret in second.secrets}
        MesosCluster(stack, "other", plan=second, output="other_cluster", secret_values=values)

    stack = synthesize(build)

    assert sorted(stack["output"]) == ["cluster", "other_cluster"]
    names = [name for named in stack["resource"].values() for name in named]
    assert {name.split("_")[0] for name in names} == {"small", "other"}


def test_two_clusters_that_share_a_variable_are_refused() -> None:
    site = site_plan("small")

    def build(stack: TerraformStack) -> None:
        MesosCluster(stack, "one", plan=site)
        MesosCluster(stack, "two", plan=site, output="second")

    with pytest.raises(ResourceError, match=r"var\.\w+.* already"):
        synthesize(build)


def test_a_cluster_moves_into_an_existing_network() -> None:
    site = site_plan()

    def build(stack: TerraformStack) -> None:
        site_provider(stack, site)
        network = Network.existing(
            stack, "net", plan=site, network_id="n-1", subnet_id="s-1", range=IPv4Network("10.0.0.0/8")
        )
        MesosCluster(stack, "demo", plan=site, network=network)

    found = resources(synthesize(build))

    made = {address.split(".")[0] for address in found}
    assert not {kind for kind in made if "router" in kind or "subnet" in kind}
    port = found["openstack_networking_port_v2.demo_masters_port"]
    assert (port["network_id"], port["fixed_ip"][0]["subnet_id"]) == ("n-1", "s-1")


def test_an_existing_subnet_that_does_not_hold_the_site_is_refused() -> None:
    site = site_plan()

    def build(stack: TerraformStack) -> None:
        Network.existing(
            stack, "net", plan=site, network_id="n", subnet_id="s", range=IPv4Network("10.9.0.0/16")
        )

    with pytest.raises(SpecError, match=r"sites\.dc1\.network: got .*10\.9\.0\.0/16.*holds 10\.20\.0\.0/16"):
        synthesize(build)


@pytest.mark.parametrize("case", CASES)
def test_a_site_is_few_constructs(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a round trip or more to the engine: this is what synth takes its time from."""
    made: list[Any] = []
    site = site_plan(case)

    def build(stack: TerraformStack) -> None:
        site_provider(stack, site)
        MesosCluster(stack, case, plan=site)
        made.extend(stack.node.find_all())

    synthesize(build)

    # A pool is itself, its flavor, its ports and its machines, an elastic one also a variable and a question;
    # a secret is its variable, a balancer itself, listeners, pools, health and members.
    elastic = sum(pool.elastic for pool in site.pools)
    balancer = 5 if site.edge_spec and site.edge_spec.load_balancer else 0
    assert len(made) <= 48 + 4 * len(site.pools) + 2 * elastic + balancer + len(site.secrets)


def linked_in_existing(router_id: str | None) -> Json:
    """A site that is joined to another one, in a network that is there already."""
    site = cluster_plan("hybrid").site("dc1")

    def build(stack: TerraformStack) -> None:
        network = Network.existing(
            stack,
            "net",
            plan=site,
            network_id="n-1",
            subnet_id="s-1",
            range=IPv4Network("10.0.0.0/8"),
            router_id=router_id,
        )
        late = {"gateway_public_address:eu": Expr('"203.0.113.9"')}
        MesosCluster(stack, "demo", plan=site, network=network, late=late)

    return synthesize(build)


def test_the_router_of_an_existing_network_gets_the_routes_to_other_sites() -> None:
    (routes,) = linked_in_existing("r-1")["resource"]["openstack_networking_router_route_v2"].values()

    assert routes["router_id"] == "r-1"
    assert routes["next_hop"] == "10.30.0.11"
    assert re.findall(r"[\d./]{9,}", routes["for_each"]) == ["10.20.0.0/16"]


def test_an_existing_network_of_a_linked_site_without_its_router_is_refused_with_the_argument() -> None:
    with pytest.raises(SpecError) as refused:
        linked_in_existing(None)

    assert str(refused.value) == (
        "Network.existing(…, router_id=…) of site dc1: got None, expected the id of the subnet's router: it "
        "gets the routes to the other sites of cluster.yaml"
    )
