"""The same cluster on libvirt, on AWS and on OpenStack: same nodes, addresses, outputs and texts."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from constructs_lib import libvirt, openstack
from constructs_lib.components.model import Role
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from tests.aws.clusters import cluster_stack as aws_stack
from tests.libvirt.clusters import CASES, cluster_stack, plan_of, settings
from tests.openstack.clusters import cluster_stack as openstack_stack
from tests.openstack.test_parity import PLATFORMS_OWN

PLATFORMS_NAMES = {"vpc_id", "backup_bucket", "region", "quota", "network_mtu", "network_id", "subnet_id"}
"""What only another platform's output has; `edges` lacks where a load balancer is the one way in."""
STACKS = {"aws": aws_stack, "openstack": openstack_stack}
OTHERS: dict[str, dict[str, Any]] = {
    "aws": {"region": "eu-west-3"},
    "openstack": {
        "external_network": "public",
        "image": "ubuntu-24.04",
        "availability_zones": ["az1", "az2", "az3"],
    },
}


def both(case: str, other: str) -> tuple[SitePlan, SitePlan]:
    """The case's site on libvirt, and on the other platform.

    Always on a bridge: behind NAT only the host is an administrator, which makes sense nowhere else.
    """
    given = settings(case)
    given["admin"]["networks"] = ["203.0.113.0/24"]
    there = copy.deepcopy(given)
    (site,), (on_the_other,) = given["sites"].values(), there["sites"].values()
    site["libvirt"].setdefault("bridge", {"name": "br0"})
    del on_the_other["libvirt"]
    own = copy.deepcopy(OTHERS[other])
    if "zones" not in site:
        own.pop("availability_zones", None)
    on_the_other |= {"platform": other, other: own}
    return plan_of(given), plan_of(there)


pytestmark = [pytest.mark.parametrize("case", CASES), pytest.mark.parametrize("other", list(OTHERS))]


def test_nodes_have_the_same_names_roles_zones_and_addresses(case: str, other: str) -> None:
    here, there = both(case, other)

    assert [(n.name, n.role, n.zone.name, n.address) for n in here.nodes] == [
        (n.name, n.role, n.zone.name, n.address) for n in there.nodes
    ]
    assert [(pool.name, pool.slot, pool.max) for pool in here.pools] == [
        (pool.name, pool.slot, pool.max) for pool in there.pools
    ]


def test_agents_stand_in_the_agents_range_of_their_zone(case: str, other: str) -> None:
    here, there = both(case, other)

    for pool in here.pools:
        for zone in here.zones:
            assert pool.ranges[zone.name].subnet_of(zone.roles[Role.AGENT])
        if other == "openstack":
            assert pool.ranges == there.pool(pool.name).ranges


def test_outputs_say_the_same_by_the_same_names(case: str, other: str) -> None:
    here, there = both(case, other)
    first = cluster_stack(here)["output"]["cluster"]["value"]
    second = STACKS[other](there)["output"]["cluster"]["value"]

    assert second.keys() - first.keys() <= PLATFORMS_NAMES
    assert first.keys() - second.keys() <= {"hosts", "edges"}
    assert first["nodes"].keys() == second["nodes"].keys()
    for name, node in first["nodes"].items():
        assert node.keys() == second["nodes"][name].keys()
    assert first["pools"].keys() == second["pools"].keys()
    assert first["endpoints"].keys() == second["endpoints"].keys()
    networks = {there.late_mtu.name} if there.late_mtu else set()
    assert first["late_values"].keys() | networks == second["late_values"].keys()


def test_nodes_have_the_same_files(case: str, other: str) -> None:
    here, there = both(case, other)

    pairs: list[tuple[NodePlan | PoolPlan, NodePlan | PoolPlan]] = [
        *zip(here.nodes, there.nodes, strict=True),
        *zip(here.pools, there.pools, strict=True),
    ]
    for first, second in pairs:
        files = {file.path: file for file in render(here, first).files}
        others = {file.path: file for file in render(there, second).files}
        assert files.keys() == others.keys()
        assert {path for path in files if files[path] != others[path]} <= PLATFORMS_OWN


def test_the_public_names_are_the_same_where_both_have_the_thing(case: str, other: str) -> None:
    assert set(openstack.__all__) - set(libvirt.__all__) == {"BackupBucket", "Firewall"}
    assert set(libvirt.__all__) - set(openstack.__all__) == {"Storage"}
