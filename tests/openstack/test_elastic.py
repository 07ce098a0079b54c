"""A pool between `min` and `max` has as many agents as the last deploy that said a number."""

from __future__ import annotations

import dataclasses

import pytest

from constructs_lib.openstack import AgentPool, Network, site_provider
from constructs_lib.openstack.elastic import AS_MANY_AS_THERE_ARE, pool_tags, variable_name
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.terraform import TerraformStack
from tests.openstack.clusters import (
    CASES,
    Json,
    cluster_stack,
    plan_of,
    resources,
    settings,
    site_plan,
    synthesize,
)
from tests.openstack.conftest import Terraform
from tests.openstack.deployed import AllHealthy, Deployment, roll_of
from tests.openstack.double import OpenstackDouble
from tests.openstack.double_server import running

VARIABLE = "agents_demo_dc1_batch"


def elastic(least: int = 1, most: int = 5) -> SitePlan:
    return plan_of(elastic_settings(least, most))


def elastic_settings(least: int, most: int) -> Json:
    given = settings("private")
    del given["sites"]["dc1"]["openstack"]["cloud"]
    batch = given["sites"]["dc1"]["agents"]["batch"]
    del batch["count"]
    batch |= {"min": least, "max": most}
    return given


def test_its_number_is_a_variable_and_else_what_is_there() -> None:
    stack = cluster_stack(elastic())

    assert variable_name(elastic(), elastic().pool("batch")) == VARIABLE
    assert stack["variable"][VARIABLE]["default"] == AS_MANY_AS_THERE_ARE
    there = "data.openstack_networking_port_ids_v2.demo_agents-batch_there"
    number = f"var.{VARIABLE} == -1 ? length({there}.ids) : var.{VARIABLE}"
    assert f"range(max(1, min(5, {number})))" in stack["locals"]["demo_agents-batch_members"]


def test_a_pool_with_a_count_has_no_variable_and_asks_nothing() -> None:
    stack = cluster_stack(site_plan())

    assert not [name for name in stack["variable"] if name.startswith("agents_")]
    assert "openstack_networking_port_ids_v2" not in stack["data"]


def test_equal_bounds_are_a_count() -> None:
    assert VARIABLE not in cluster_stack(elastic(3, 3))["variable"]


@pytest.mark.parametrize("case", CASES)
def test_ports_of_every_pool_say_whose_they_are_so_that_a_pool_may_become_elastic(case: str) -> None:
    site = site_plan(case)
    stack = cluster_stack(site)

    for pool in site.pools:
        port = resources(stack)[f"openstack_networking_port_v2.{site.cluster}_agents-{pool.name}_port"]
        assert sorted(port["tags"]) == sorted(pool_tags(site, pool))
        assert all(len(tag) <= 60 for tag in port["tags"])


def test_the_most_is_what_the_quota_and_the_network_need() -> None:
    few, many = (cluster_stack(elastic(1, most))["output"]["cluster"]["value"]["quota"] for most in (5, 9))

    assert many["instances"] - few["instances"] == 4


def pool_alone(site: SitePlan) -> Json:
    def build(stack: TerraformStack) -> None:
        site_provider(stack, site)
        AgentPool(stack, "batch", plan=site, pool="batch", network=Network(stack, "net", plan=site))

    return synthesize(build)


def agents(double: OpenstackDouble) -> dict[str, str]:
    """Name → id of the machine."""
    return {str(one["name"]): str(one["id"]) for one in double.kept["servers"].values()}


@pytest.mark.terraform
def test_a_deploy_that_says_a_number_changes_those_alone_and_one_that_says_none_keeps_them(
    openstack_terraform: Terraform,
) -> None:
    site = elastic()
    with running() as double:
        terraform = dataclasses.replace(
            openstack_terraform, environ=openstack_terraform.environ | double.environment
        )
        stack = pool_alone(site)
        given = [f"-var={name}=x" for name in stack["variable"] if name != VARIABLE]
        terraform.write(stack)
        terraform("init", "-input=false")

        def deploy(*arguments: str) -> dict[str, str]:
            terraform("apply", "-auto-approve", "-input=false", *given, *arguments)
            return agents(double)

        first = deploy()
        more = deploy(f"-var={VARIABLE}=4")
        plain = terraform("plan", "-input=false", "-no-color", *given)
        refused = terraform.run("plan", "-input=false", "-no-color", *given, f"-var={VARIABLE}=6")
        fewer = deploy(f"-var={VARIABLE}=2")
        wider = deploy()

        assert list(first) == ["demo-dc1-batch-1"]
        assert sorted(more) == [f"demo-dc1-batch-{number}" for number in (1, 2, 3, 4)]
        assert first.items() <= more.items()
        assert "No changes." in plain
        assert "has to be a whole number from 1 to 5" in " ".join(refused.stderr.replace("│", "").split())
        assert fewer.items() == {k: v for k, v in more.items() if k[-1] in "12"}.items()
        assert wider == fewer
        terraform("destroy", "-auto-approve", "-input=false", *given)
        assert agents(double) == {}


@pytest.mark.terraform
def test_a_roll_is_of_the_agents_that_the_last_deploy_made_and_asks_nobody_else(
    openstack_terraform: Terraform,
) -> None:
    other = elastic_settings(1, 5)
    other["sites"]["dc1"]["agents"]["batch"] |= {"cpus": 4, "memory_gib": 16}
    names, gate = ["batch-1", "batch-2"], AllHealthy()
    with running() as double:
        deployment = Deployment.on(double, openstack_terraform, pool_alone(elastic()))
        deployment.terraform(
            "apply", "-auto-approve", "-input=false", *deployment.given, f"-var={VARIABLE}=2"
        )
        before = agents(double)
        cluster = plan(from_dict(other))
        deployment.write(pool_alone(cluster.site("dc1")))
        secrets = {f"TF_VAR_{value.removeprefix('-var=')[:-2]}": "x" for value in deployment.given}
        there = deployment.terraform
        knowing = dataclasses.replace(there, environ=there.environ | secrets)

        done = roll_of(cluster, knowing, gate, pool="batch").run()

        assert list(done) == names
        assert gate.asked == [names] * 4
        after = agents(double)
        assert after.keys() == before.keys() == {f"demo-dc1-{name}" for name in names}
        assert not set(after.values()) & set(before.values())
        assert deployment.changes() == {}
