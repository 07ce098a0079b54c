from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from constructs_lib.aws import Gateway, Network, Subnet, ZoneSubnets
from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.plan.model import SitePlan, ZonePlan
from constructs_lib.terraform import TerraformStack
from tests.aws.clusters import Json, only, resources, site_plan, synthesize
from tests.hybrid.clusters import cluster_plan


def network(site: SitePlan) -> Json:
    return synthesize(lambda stack: Network(stack, "net", plan=site))


def existing(site: SitePlan, **changed: Subnet) -> dict[str, ZoneSubnets]:
    def subnets(zone: ZonePlan) -> ZoneSubnets:
        found = {
            "public": Subnet(f"subnet-public-{zone.name}", zone.public),
            "control": Subnet(f"subnet-control-{zone.name}", zone.control),
            "agents": Subnet(f"subnet-agents-{zone.name}", zone.agents),
        }
        return ZoneSubnets(**{**found, **changed})

    return {zone.name: subnets(zone) for zone in site.zones}


@pytest.mark.parametrize("zones", [1, 2, 3])
def test_every_zone_has_each_kind_of_subnet_in_the_planned_range(zones: int) -> None:
    site = site_plan(zones=zones)
    stack = network(site)

    ranges = {
        "public": [zone.roles[Role.GATEWAY] for zone in site.zones],
        "frontend": [zone.frontend for zone in site.zones],
        "control": [zone.control for zone in site.zones],
        "agents": [zone.agents for zone in site.zones],
    }
    for kind, planned in ranges.items():
        assert only(stack, "aws_subnet", kind)["for_each"] == {
            zone.name: {"range": str(network), "zone": f"eu-west-3{zone.name}"}
            for zone, network in zip(site.zones, planned, strict=True)
        }


def test_subnets_hand_out_no_public_address() -> None:
    stack = network(site_plan())

    assert {
        body["map_public_ip_on_launch"] for name, body in resources(stack).items() if "aws_subnet" in name
    } == {False}


def test_one_nat_gateway_serves_all_zones_by_default() -> None:
    stack = network(site_plan())

    assert list(only(stack, "aws_nat_gateway")["for_each"]) == ["a"]
    assert set(only(stack, "aws_route", "private-default")["for_each"].values()) == {
        'aws_nat_gateway.net_nat["a"].id'
    }


def test_each_zone_has_its_own_nat_gateway_when_asked() -> None:
    stack = network(site_plan(aws={"nat": "per_zone"}))

    assert only(stack, "aws_route", "private-default")["for_each"] == {
        zone: f'aws_nat_gateway.net_nat["{zone}"].id' for zone in "abc"
    }


def test_the_default_security_group_has_no_rule() -> None:
    group = only(network(site_plan()), "aws_default_security_group")

    assert "ingress" not in group and "egress" not in group


def test_all_traffic_is_logged_for_a_year() -> None:
    stack = network(site_plan())

    assert only(stack, "aws_flow_log")["traffic_type"] == "ALL"
    assert only(stack, "aws_cloudwatch_log_group")["retention_in_days"] == 365


def test_s3_is_reached_without_the_nat_gateway() -> None:
    endpoint = only(network(site_plan()), "aws_vpc_endpoint")

    assert endpoint["service_name"] == "com.amazonaws.eu-west-3.s3"
    assert endpoint["route_table_ids"] == [
        f'${{aws_route_table.net_private-routes["{zone}"].id}}' for zone in "abc"
    ]


def test_an_existing_network_makes_and_looks_up_nothing() -> None:
    site = site_plan()
    made: list[Network] = []

    def build(stack: TerraformStack) -> None:
        made.append(Network.existing(stack, "net", plan=site, vpc_id="vpc-1", subnets=existing(site)))

    stack = synthesize(build)

    assert "resource" not in stack and "data" not in stack
    assert made[0].vpc_id == "vpc-1"
    assert made[0].subnets["b"].agents.id == "subnet-agents-b"


def test_an_existing_subnet_that_cannot_hold_a_planned_range_is_refused() -> None:
    site = site_plan(zones=1)
    small = Subnet("subnet-small", IPv4Network("10.20.16.0/24"))

    with pytest.raises(SpecError, match=r"subnet-small with 10\.20\.16\.0/24.*master range 10\.20\.16\.0/22"):
        synthesize(
            lambda stack: Network.existing(
                stack, "net", plan=site, vpc_id="vpc-1", subnets=existing(site, control=small)
            )
        )


def test_a_zone_without_subnets_is_refused() -> None:
    site = site_plan(zones=2)
    subnets = existing(site)
    del subnets["b"]

    with pytest.raises(SpecError, match=r"sites\.eu\.subnets\.b"):
        synthesize(lambda stack: Network.existing(stack, "net", plan=site, vpc_id="vpc-1", subnets=subnets))


def test_a_frontend_subnet_outside_the_planned_range_is_refused() -> None:
    site = site_plan(zones=1)
    elsewhere = Subnet("subnet-front", IPv4Network("10.20.8.0/24"))

    with pytest.raises(SpecError, match="health checks"):
        synthesize(
            lambda stack: Network.existing(
                stack, "net", plan=site, vpc_id="vpc-1", subnets=existing(site, frontend=elsewhere)
            )
        )


def linked_in_existing(tables: dict[str, str]) -> Json:
    """A site of three zones that is joined to another one, in a network that is there already."""
    site = cluster_plan("hybrid").site("eu")

    def build(stack: TerraformStack) -> None:
        network = Network.existing(
            stack, "net", plan=site, vpc_id="vpc-1", subnets=existing(site), route_tables=tables
        )
        Gateway(stack, "gateway", plan=site, network=network)

    return synthesize(build)


def test_each_route_table_of_an_existing_network_gets_the_routes_to_other_sites_once() -> None:
    routes = only(linked_in_existing({"a": "rtb-1", "b": "rtb-2", "c": "rtb-1"}), "aws_route")

    assert sorted(routes["for_each"].values(), key=str) == [
        {"table": table, "network": "10.30.0.0/16"} for table in ("rtb-1", "rtb-2")
    ]


def test_an_existing_network_of_a_linked_site_without_a_zones_route_table_is_refused_with_the_argument() -> (
    None
):
    with pytest.raises(SpecError) as refused:
        linked_in_existing({"a": "rtb-1"})

    assert str(refused.value) == (
        "Network.existing(…, route_tables=…) of site eu: got ['a'], expected those of the zones b, c too: "
        "they get the routes to the other sites of cluster.yaml"
    )
