from __future__ import annotations

from constructs_lib.aws import AgentPool, Network, Subnet, ZoneSubnets
from constructs_lib.components import components_of
from constructs_lib.components.model import Role
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import TerraformStack
from tests.aws.clusters import (
    Json,
    cluster_stack,
    only,
    plan_of,
    resources,
    settings,
    site_plan,
    synthesize,
    with_site,
)

EXISTING = {"masters": {"existing": ["10.20.16.11"]}, "consul": {"existing": ["10.20.20.11"]}}


def pool(site: SitePlan, name: str) -> Json:
    def build(stack: TerraformStack) -> None:
        AgentPool(stack, "p", plan=site, pool=name, network=Network(stack, "net", plan=site))

    return synthesize(build)


def test_a_counted_pool_has_that_many_agents_and_a_scaled_one_its_bounds() -> None:
    counted = only(pool(site_plan(), "general"), "aws_autoscaling_group")
    scaled = only(pool(site_plan(), "batch"), "aws_autoscaling_group")

    assert (counted["min_size"], counted["max_size"]) == (3, 3)
    assert (scaled["min_size"], scaled["max_size"]) == (0, 20)


def test_a_deploy_never_sets_back_what_scales_the_pool() -> None:
    group = only(pool(site_plan(), "batch"), "aws_autoscaling_group")

    assert "desired_capacity" not in group
    assert group["wait_for_capacity_timeout"] == "0"


def test_a_deploy_waits_for_exactly_the_agents_of_a_counted_pool() -> None:
    group = only(pool(site_plan(), "general"), "aws_autoscaling_group")

    assert group["desired_capacity"] == 3
    assert "wait_for_capacity_timeout" not in group


def test_agents_are_spread_over_the_agents_subnets_of_all_zones() -> None:
    group = only(pool(site_plan(), "general"), "aws_autoscaling_group")

    assert group["vpc_zone_identifier"] == [f'${{aws_subnet.net_agents["{zone}"].id}}' for zone in "abc"]


def test_aws_never_chooses_which_agent_ends() -> None:
    group = only(pool(site_plan(), "general"), "aws_autoscaling_group")

    assert group["protect_from_scale_in"] is True
    assert group["suspended_processes"] == ["AZRebalance"]


def test_a_changed_template_leaves_the_group_as_it_is() -> None:
    other = {"general": {"count": 3, "cpus": 16, "memory_gib": 64}}
    before = pool(site_plan(agents={"general": {"count": 3}}), "general")
    after = pool(site_plan(agents=other), "general")

    assert only(before, "aws_autoscaling_group") == only(after, "aws_autoscaling_group")
    assert only(before, "aws_launch_template") != only(after, "aws_launch_template")
    assert only(after, "aws_autoscaling_group")["launch_template"]["version"] == "$Latest"


def test_spot_is_what_the_pool_asks_for() -> None:
    spot, demand = pool(site_plan(), "batch"), pool(site_plan(), "general")

    assert only(spot, "aws_launch_template")["instance_market_options"] == {"market_type": "spot"}
    assert "instance_market_options" not in only(demand, "aws_launch_template")
    assert only(spot, "aws_autoscaling_group")["capacity_rebalance"] is True


def test_a_group_is_deleted_with_its_agents_only_where_nothing_is_protected() -> None:
    assert only(pool(site_plan(protect_data=False), "batch"), "aws_autoscaling_group")["force_delete"] is True
    assert only(pool(site_plan(protect_data=True), "batch"), "aws_autoscaling_group")["force_delete"] is False


def test_labels_and_cluster_are_tags_of_machines_volumes_and_group() -> None:
    stack = pool(site_plan("whole"), "general")
    wanted = {
        "Name": "whole-eu-general",
        "clustermesos:cluster": "whole",
        "clustermesos:pool": "general",
        "clustermesos:role": "agent",
        "clustermesos:site": "eu",
        "cost-center": "4711",
        "owner": "web-team",
    }

    for specification in only(stack, "aws_launch_template")["tag_specifications"]:
        assert specification["tags"] == wanted
    group = only(stack, "aws_autoscaling_group")
    assert {tag["key"]: tag["value"] for tag in group["tag"]} == wanted
    assert all(tag["propagate_at_launch"] is True for tag in group["tag"])


def test_a_pool_alone_joins_masters_that_exist_in_a_network_that_exists() -> None:
    site = plan_of(with_site(with_site(settings("demo"), masters=None, consul=None, edge=None), **EXISTING))
    subnets = {
        zone.name: ZoneSubnets(
            public=Subnet("subnet-p", zone.public),
            control=Subnet("subnet-c", zone.control),
            agents=Subnet(f"subnet-{zone.name}", zone.agents),
        )
        for zone in site.zones
    }

    def build(stack: TerraformStack) -> None:
        network = Network.existing(stack, "net", plan=site, vpc_id="vpc-1", subnets=subnets)
        AgentPool(stack, "p", plan=site, pool="general", network=network)

    stack = synthesize(build)

    assert only(stack, "aws_autoscaling_group")["vpc_zone_identifier"] == ["subnet-a", "subnet-b", "subnet-c"]
    assert only(stack, "aws_security_group")["vpc_id"] == "vpc-1"
    assert not any(address.startswith(("aws_vpc.", "aws_instance.")) for address in resources(stack))


def test_the_number_of_agents_changes_the_groups_size_and_nothing_else() -> None:
    few = resources(cluster_stack(site_plan(agents={"general": {"count": 3}, "batch": {"count": 1}})))
    many = resources(cluster_stack(site_plan(agents={"general": {"count": 4000}, "batch": {"count": 1}})))

    changed = {address for address in few if few[address] != many[address]}
    assert changed == {"aws_autoscaling_group.demo_agents-general"}
    assert few.keys() == many.keys()


def test_agents_alone_reach_the_masters_that_exist_and_nobody_else_of_theirs() -> None:
    given = with_site(settings("demo"), masters=None, consul=None, edge=None)
    stack = pool(plan_of(with_site(given, **EXISTING)), "general")

    out = only(stack, "aws_security_group_rule", "to-networks")["for_each"]

    inside = {key: rule["ranges"] for key, rule in out.items() if "0.0.0.0/0" not in rule["ranges"]}
    existing = {Role.MASTER: ["10.20.16.11/32"], Role.CONSUL: ["10.20.20.11/32"]}
    assert inside == {
        f"agent/{component.name}-{port.name}-to-{role}": there
        for role, there in existing.items()
        for component in components_of(role)
        for port in component.ports
        if Role.AGENT in port.reached_by and (port.on is None or role in port.on)
    }
    assert inside["agent/zookeeper-client-to-master"] == ["10.20.16.11/32"]
