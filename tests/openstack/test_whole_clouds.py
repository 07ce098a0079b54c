"""The private clouds that a reader may copy, applied whole by the real plugin to the double of the APIs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.test_examples import ROOT, run
from tests.openstack.clusters import GOLDEN, Json, site_plan
from tests.openstack.conftest import Terraform
from tests.openstack.deployed import Deployment, doubled
from tests.openstack.double import OpenstackDouble
from tests.openstack.double_server import running

pytestmark = [pytest.mark.terraform, pytest.mark.slow]
THERE = "3f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
"""The network that the example of a pool stands in."""


@pytest.fixture
def double() -> Iterator[OpenstackDouble]:
    with running() as one:
        yield one


def by_clouds_yaml(terraform: Terraform, double: OpenstackDouble) -> None:
    """The cloud `dc1` is the double; the OS_… variables name it too, and must not be what leads there."""
    (terraform.folder / "clouds.yaml").write_text(
        json.dumps(
            {
                "clouds": {
                    "dc1": {
                        "auth": {
                            "auth_url": double.environment["OS_AUTH_URL"],
                            "username": "from-the-file",
                            "password": "p",
                            "project_name": "p",
                            "user_domain_name": "Default",
                            "project_domain_name": "Default",
                        },
                        "region_name": "RegionOne",
                    }
                }
            }
        )
    )


@pytest.mark.parametrize("case", ["private", "whole"])
def test_a_cloud_written_by_hand_is_deployed_whole_and_a_second_plan_is_empty(
    case: str, double: OpenstackDouble, openstack_terraform: Terraform, tmp_path: Path
) -> None:
    shutil.copyfile(GOLDEN / case / "cluster.yaml", tmp_path / "cluster.yaml")
    by_clouds_yaml(openstack_terraform, double)
    planned = site_plan(case)
    if planned.openstack and (name := planned.openstack.key_pair):
        double.kept["os-keypairs"][name] = {"name": name, "public_key": "theirs"}

    deployment = Deployment.on(double, openstack_terraform, run(tmp_path, "-m", "stacks.private"))
    deployment.apply()

    agents = [f"{pool.name}-{number}" for pool in planned.pools for number in range(1, pool.max + 1)]
    names = {server["name"] for server in double.kept["servers"].values()}
    prefix = f"{planned.cluster}-{planned.name}"
    assert names == {f"{prefix}-{name}" for name in [*(node.name for node in planned.nodes), *agents]}
    assert doubled(double) == {}
    assert deployment.changes() == {}


def test_the_example_of_a_pool_is_deployed_into_the_network_that_is_there(
    double: OpenstackDouble, openstack_terraform: Terraform, tmp_path: Path
) -> None:
    by_clouds_yaml(openstack_terraform, double)
    foreign: Json = {"id": THERE, "name": "theirs", "tags": [], "mtu": 1450, "subnets": []}
    double.kept["networks"][THERE] = foreign | {"admin_state_up": True, "router:external": False}
    stack = run(tmp_path, str(ROOT / "examples" / "agent_pool_in_existing_openstack_network.py"))
    flavor = stack["data"]["openstack_compute_flavor_v2"]["agents_flavor"]
    flavor["name"] = "SCS-8V-32"  # the double has no larger one

    deployment = Deployment.on(double, openstack_terraform, stack)
    deployment.apply()

    assert {server["name"] for server in double.kept["servers"].values()} == {
        f"extra-dc1-analytics-{number}" for number in (1, 2, 3, 4)
    }
    assert {port["network_id"] for port in double.kept["ports"].values()} == {THERE}
    assert "analytics-results" in double.kept["containers"]
    assert deployment.changes() == {}
