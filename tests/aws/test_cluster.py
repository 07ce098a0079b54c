from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from constructs_lib.aws import MesosCluster, Network, site_provider
from constructs_lib.errors import ResourceError
from constructs_lib.terraform import TerraformStack
from tests.aws.clusters import (
    CASES,
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
def test_everything_that_can_have_tags_has_them(case: str) -> None:
    site = site_plan(case)
    bare = {
        "aws_autoscaling_group",  # has its own kind, see test_agents
        "aws_eip_association",
        "aws_iam_role_policy",
        "aws_lb_listener",
        "aws_lb_target_group_attachment",
        "aws_route",
        "aws_route_table_association",
        "aws_s3_bucket_policy",
        "aws_s3_bucket_public_access_block",
        "aws_security_group_rule",
        "aws_volume_attachment",
    }
    for address, body in resources(cluster_stack(site)).items():
        if address.split(".")[0] not in bare:
            assert body["tags"]["clustermesos:cluster"] == site.cluster, address
            assert {key: body["tags"][key] for key in site.tags} == dict(site.tags), address


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
    from tests.aws.test_network import existing

    def build(stack: TerraformStack) -> None:
        site_provider(stack, site)
        subnets = {
            zone.name: dataclasses.replace(
                existing(site)[zone.name],
                frontend=dataclasses.replace(
                    existing(site)[zone.name].public, id=f"subnet-front-{zone.name}", range=zone.frontend
                ),
            )
            for zone in site.zones
        }
        network = Network.existing(stack, "net", plan=site, vpc_id="vpc-1", subnets=subnets)
        MesosCluster(stack, "demo", plan=site, network=network)

    found = resources(synthesize(build))

    assert not any(address.startswith(("aws_vpc.", "aws_subnet.", "aws_nat_gateway.")) for address in found)
    assert found["aws_security_group.demo_firewall"]["vpc_id"] == "vpc-1"
    assert found["aws_instance.demo_masters"]["associate_public_ip_address"] is False


@pytest.mark.parametrize(("case", "most"), [("small", 62), ("demo", 72), ("whole", 75)])
def test_a_site_is_few_constructs(case: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a round trip or more to the engine: this is what synth takes its time from.

    A secret is two, its variable and its parameter.
    """
    made: list[Any] = []

    def build(stack: TerraformStack) -> None:
        site_provider(stack, site_plan(case))
        MesosCluster(stack, case, plan=site_plan(case))
        made.extend(stack.node.find_all())

    synthesize(build)

    assert len(made) <= most + 2 * len(site_plan(case).secrets)
