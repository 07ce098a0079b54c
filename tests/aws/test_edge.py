from __future__ import annotations

import pytest

from constructs_lib.aws import Edge, Network, Subnet, ZoneSubnets
from constructs_lib.components.nginx import NGINX
from constructs_lib.errors import SpecError
from constructs_lib.plan.model import SitePlan
from tests.aws.clusters import Json, only, plan_of, settings, site_plan, synthesize


def edge(site: SitePlan) -> Json:
    return synthesize(lambda stack: Edge(stack, "e", plan=site, network=Network(stack, "net", plan=site)))


def test_the_load_balancer_is_internal_unless_the_edge_is_public() -> None:
    assert only(edge(site_plan()), "aws_lb")["internal"] is True
    assert only(edge(site_plan("whole")), "aws_lb")["internal"] is False


def test_the_load_balancer_stands_where_edges_answer_its_health_checks() -> None:
    balancer = only(edge(site_plan()), "aws_lb")

    assert balancer["subnets"] == [f'${{aws_subnet.net_frontend["{zone}"].id}}' for zone in "abc"]


def test_it_asks_the_health_check_that_nginx_declares() -> None:
    check = only(edge(site_plan()), "aws_lb_target_group")["health_check"]

    assert (check["port"], check["path"]) == (str(NGINX.port("health").number), "/healthz")


def test_only_ports_for_the_public_are_listened_on() -> None:
    listener = only(edge(site_plan()), "aws_lb_listener")

    assert listener["for_each"] == {"http": NGINX.port("http").number}


def test_every_edge_is_a_target_of_every_port() -> None:
    membership = only(edge(site_plan("whole")), "aws_lb_target_group_attachment")

    assert sorted(membership["for_each"]) == ["edge-1-http", "edge-2-http"]


def test_the_load_balancer_is_protected_where_data_is() -> None:
    assert only(edge(site_plan(protect_data=True)), "aws_lb")["enable_deletion_protection"] is True
    assert only(edge(site_plan(protect_data=False)), "aws_lb")["enable_deletion_protection"] is False


def test_an_existing_network_without_frontend_subnets_is_refused() -> None:
    site = site_plan(zones=1)
    zone = site.zones[0]
    subnets = {
        "a": ZoneSubnets(
            public=Subnet("p", zone.public),
            control=Subnet("c", zone.control),
            agents=Subnet("g", zone.agents),
        )
    }

    with pytest.raises(SpecError, match="frontend"):
        synthesize(
            lambda stack: Edge(
                stack,
                "e",
                plan=site,
                network=Network.existing(stack, "net", plan=site, vpc_id="vpc-1", subnets=subnets),
            )
        )


def test_a_plan_without_an_edge_is_refused() -> None:
    with pytest.raises(SpecError, match=r"sites\.eu\.edge"):
        edge(site_plan(edge=None))


def test_names_of_the_load_balancer_fit_however_long_the_cluster_s_is() -> None:
    given = settings("demo") | {"name": "a-name-12-ch"}
    given["sites"] = {"a-long-site1": given["sites"]["eu"]}
    stack = edge(plan_of(given))

    targets = only(stack, "aws_lb_target_group")["for_each"].values()
    names = [only(stack, "aws_lb")["name"], *(target["name"] for target in targets)]
    assert all(len(name) <= 32 and name.startswith("a-name") for name in names)
    assert len(set(names)) == 2
