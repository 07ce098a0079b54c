"""One balancer of Octavia before all edges, where cluster.yaml asks for it."""

from __future__ import annotations

import dataclasses
import json
import re
from ipaddress import IPv4Network

import pytest

from constructs_lib.components.model import Peer, Role
from constructs_lib.components.nginx import NGINX
from constructs_lib.errors import SpecError
from constructs_lib.openstack import Edge, Network, site_provider
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import Output, TerraformStack
from tests.openstack.clusters import Json, cluster_stack, only, plan_of, settings, synthesize
from tests.openstack.conftest import Terraform
from tests.openstack.double_server import running

LISTENER = "openstack_lb_listener_v2"
MEMBER = "openstack_lb_member_v2"
FLOATING = "openstack_networking_floatingip_v2"
PUBLIC = {"count": 2, "public": True, "allow": ["198.51.100.0/24", "9.0.0.0/8"]}


def balanced(**edge: object) -> SitePlan:
    given = settings("private")
    del given["sites"]["dc1"]["openstack"]["cloud"]
    given["sites"]["dc1"]["edge"] = {**PUBLIC, "load_balancer": True, **edge}
    return plan_of(given)


def test_every_edge_is_a_member_by_its_planned_address_on_every_public_port() -> None:
    site = balanced()

    members = only(cluster_stack(site), MEMBER)["for_each"]

    assert members == {
        f"{node.name}-http": {"address": str(node.address), "pool": "http", "port": 80}
        for node in site.nodes_of(Role.EDGE)
    }


def test_the_balancer_asks_nginx_own_check_and_edges_let_it_in() -> None:
    site = balanced()
    stack = cluster_stack(site)

    health = NGINX.port("health")
    assert only(stack, MEMBER)["monitor_port"] == health.number
    assert only(stack, "openstack_lb_monitor_v2")["url_path"] == "/healthz"
    for name in ("health", "http"):
        ranges = {n for rule in site.traffic_to(Role.EDGE) if rule.port_name == name for n in rule.networks}
        assert {zone.frontend for zone in site.zones} <= ranges


def test_it_has_an_address_of_the_ranges_that_edges_answer() -> None:
    site = balanced()
    stack = cluster_stack(site)

    assert only(stack, "openstack_lb_loadbalancer_v2")["vip_subnet_id"].endswith("demo_network_subnet.id}")
    pools = only(stack, "openstack_networking_subnet_v2")["allocation_pool"]
    assert [IPv4Network(zone.frontend)[1].compressed for zone in site.zones] == [
        one["start"] for one in pools
    ]


def test_allowed_ranges_in_another_order_than_octavias() -> None:
    """Given back by their key, in the order of text; in ours every plan would set them again."""
    allowed = only(cluster_stack(balanced()), LISTENER)["allowed_cidrs"]

    assert allowed == ["10.20.0.0/16", "198.51.100.0/24", "203.0.113.0/24", "9.0.0.0/8"]


def test_without_public_only_the_site_and_operators_are_let_in_and_no_address_floats() -> None:
    site = balanced(public=False, allow=[])
    stack = cluster_stack(site)

    assert only(stack, LISTENER)["allowed_cidrs"] == ["10.20.0.0/16", "203.0.113.0/24"]
    assert list(stack["resource"][FLOATING]) == ["demo_gateway_address"]
    address = "${openstack_lb_loadbalancer_v2.demo_edge_balancer.vip_address}"
    assert stack["output"]["cluster"]["value"]["endpoints"] == {"edge_http": f"http://{address}:80"}


def test_the_first_edges_floating_address_is_the_balancers() -> None:
    without = cluster_stack(balanced(load_balancer=False))["resource"][FLOATING]["demo_edge_address"]
    behind = cluster_stack(balanced())["resource"][FLOATING]["demo_edge_address"]

    assert re.findall(r'"(edge-\d)" = (\w+)', without["for_each"]) == [
        ("edge-1", "openstack_networking_port_v2"),
        ("edge-2", "openstack_networking_port_v2"),
    ]
    vip = "openstack_lb_loadbalancer_v2.demo_edge_balancer.vip_port_id"
    assert behind["for_each"] == f'${{merge({{"edge-1" = {vip}}})}}'


def test_the_quota_counts_the_balancer_and_one_address() -> None:
    shown = cluster_stack(balanced())["output"]["cluster"]["value"]["quota"]
    without = cluster_stack(balanced(load_balancer=False))["output"]["cluster"]["value"]["quota"]

    assert (shown["load-balancers"], shown["floating-ips"], without["floating-ips"]) == (1, 2, 3)
    assert shown["ports"] == without["ports"] + 1


def test_in_a_network_whose_dhcp_is_not_ours_it_is_refused() -> None:
    site = balanced()

    def build(stack: TerraformStack) -> None:
        network = Network.existing(
            stack, "net", plan=site, network_id="n", subnet_id="s", range=IPv4Network("10.0.0.0/8")
        )
        Edge(stack, "edge", plan=site, network=network)

    with pytest.raises(SpecError, match=r"sites\.dc1\.edge\.load_balancer: got .*existing.*10\.20\."):
        synthesize(build)


def test_without_it_edges_are_let_to_by_visitors_alone() -> None:
    site = balanced(load_balancer=False)

    (visitors,) = (
        rule for rule in site.traffic_to(Role.EDGE) if rule.source is Peer.PUBLIC and rule.port_name == "http"
    )
    assert not {zone.frontend for zone in site.zones} & set(visitors.networks)
    assert not [kind for kind in cluster_stack(site)["resource"] if "_lb_" in kind]


def edge_alone(site: SitePlan) -> Json:
    def build(stack: TerraformStack) -> None:
        site_provider(stack, site)
        edge = Edge(stack, "edge", plan=site, network=Network(stack, "net", plan=site))
        Output(stack, "visitors", edge.addresses)

    return synthesize(build)


@pytest.mark.terraform
def test_a_balancer_takes_the_first_edges_address_over_and_a_second_plan_is_empty(
    openstack_terraform: Terraform,
) -> None:
    site = balanced()
    assert site.edge_spec
    alone = dataclasses.replace(site, edge_spec=site.edge_spec.model_copy(update={"load_balancer": False}))
    with running() as double:
        terraform = dataclasses.replace(
            openstack_terraform, environ=openstack_terraform.environ | double.environment
        )

        def deployed(planned: SitePlan) -> dict[str, str]:
            terraform.write(edge_alone(planned))
            terraform("init", "-input=false")
            terraform("apply", "-auto-approve", "-input=false", *given)
            shown: dict[str, str] = json.loads(terraform("output", "-json"))["visitors"]["value"]
            return shown

        given = [f"-var={name}=x" for name in edge_alone(site)["variable"]]
        before = deployed(alone)
        machines = dict(double.kept["servers"])
        after = deployed(site)

        assert after == {"edge-1": before["edge-1"]}
        assert double.kept["servers"].keys() == machines.keys()
        (balancer,) = double.kept["loadbalancers"].values()
        (floating,) = double.kept["floatingips"].values()
        assert floating["port_id"] == balancer["vip_port_id"]
        assert sorted(member["address"] for member in double.kept["members"].values()) == sorted(
            str(node.address) for node in site.nodes_of(Role.EDGE)
        )
        assert "No changes." in terraform("plan", "-input=false", "-no-color", *given)
        terraform("destroy", "-auto-approve", "-input=false", *given)
        assert {kind for kind, kept in double.kept.items() if kept} == {"networks"}
