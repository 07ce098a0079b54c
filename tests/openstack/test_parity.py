"""The same cluster on AWS and on OpenStack: same nodes, addresses, openings, outputs and texts."""

from __future__ import annotations

import copy

import pytest

from constructs_lib import aws, openstack
from constructs_lib.components.model import Role
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from tests.aws import test_firewall as on_aws
from tests.aws.clusters import cluster_stack as aws_stack
from tests.openstack import test_firewall as on_openstack
from tests.openstack.clusters import Json, plan_of, settings
from tests.openstack.clusters import cluster_stack as openstack_stack

PLATFORMS_OWN = {"/etc/chrony/chrony.conf", "/etc/docker/daemon.json"}
"""Files that may differ: the platform's clock, and its MTU."""


def both(case: str) -> tuple[SitePlan, SitePlan]:
    given = settings(case)
    on_the_other: Json = copy.deepcopy(given)
    for site in on_the_other["sites"].values():
        site |= {"platform": "aws", "aws": {"region": "eu-west-3"}}
        del site["openstack"]
        for sized in (
            site.get("gateway", {}),
            site["masters"],
            site.get("consul", {}),
            *site["agents"].values(),
        ):
            sized.pop("flavor", None)
    return plan_of(on_the_other), plan_of(given)


@pytest.mark.parametrize("case", ["small", "private", "whole"])
def test_nodes_have_the_same_names_roles_zones_and_addresses(case: str) -> None:
    one, other = both(case)

    assert [(n.name, n.role, n.zone.name, n.address) for n in one.nodes] == [
        (n.name, n.role, n.zone.name, n.address) for n in other.nodes
    ]
    assert [(pool.name, pool.slot, pool.max) for pool in one.pools] == [
        (pool.name, pool.slot, pool.max) for pool in other.pools
    ]


@pytest.mark.parametrize("case", ["small", "private", "whole"])
def test_agents_stand_in_the_agents_range_of_their_zone(case: str) -> None:
    _, other = both(case)

    for pool in other.pools:
        for zone in other.zones:
            assert pool.ranges[zone.name].subnet_of(zone.roles[Role.AGENT])


@pytest.mark.parametrize("case", ["small", "private", "whole"])
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_the_same_ports_are_open_to_the_same_peers(case: str, direction: str) -> None:
    one, other = both(case)

    end = on_openstack.end
    aws_rules = {
        (end(made["group"]), made["protocol"], made["port"], made["last"], end(peer))
        for _, made in on_aws.rules(on_aws.firewall(one), direction)
        for peer in ([made["peer"]] if "peer" in made else made["ranges"])
    }
    openstack_rules = {
        rule
        for rule in on_openstack.named(on_openstack.rules(on_openstack.firewall(other), direction), other)
        if rule[2] != 53
    }

    assert openstack_rules == aws_rules


@pytest.mark.parametrize("case", ["small", "private", "whole"])
def test_outputs_say_the_same_by_the_same_names(case: str) -> None:
    one, other = both(case)
    first = aws_stack(one)["output"]["cluster"]["value"]
    second = openstack_stack(other)["output"]["cluster"]["value"]

    assert first.keys() - second.keys() <= {"vpc_id", "backup_bucket", "region"}
    assert first["nodes"].keys() == second["nodes"].keys()
    for name, node in first["nodes"].items():
        assert node.keys() == second["nodes"][name].keys()
    assert first["pools"].keys() == second["pools"].keys()
    assert first["endpoints"].keys() == second["endpoints"].keys()
    networks = {other.late_mtu.name} if other.late_mtu else set()
    assert first["late_values"].keys() | networks == second["late_values"].keys()


@pytest.mark.parametrize("case", ["small", "private", "whole"])
def test_nodes_have_the_same_files_attributes_among_them(case: str) -> None:
    one, other = both(case)

    pairs: list[tuple[NodePlan | PoolPlan, NodePlan | PoolPlan]] = [
        *zip(one.nodes, other.nodes, strict=True),
        *zip(one.pools, other.pools, strict=True),
    ]
    for first, second in pairs:
        files = {file.path: file for file in render(one, first).files}
        others = {file.path: file for file in render(other, second).files}
        assert files.keys() == others.keys()
        assert {path for path in files if files[path] != others[path]} <= PLATFORMS_OWN


def test_the_public_names_are_the_same_where_both_have_the_thing() -> None:
    only_aws = {"NodeAccess", "Subnet", "ZoneSubnets"}

    assert set(aws.__all__) - set(openstack.__all__) == only_aws
    assert set(openstack.__all__) <= set(aws.__all__)
