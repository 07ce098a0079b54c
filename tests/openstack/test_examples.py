"""The example, and the cloud that is written by hand, run as their user would run them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.aws.test_examples import ROOT, run
from tests.openstack.clusters import CASES, GOLDEN, cluster_stack, resources, settings, site_plan

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", CASES)
def test_the_cloud_written_by_hand_is_the_composed_one(case: str, tmp_path: Path) -> None:
    shutil.copyfile(GOLDEN / case / "cluster.yaml", tmp_path / "cluster.yaml")

    by_hand = run(tmp_path, "-m", "stacks.private")

    name = settings(case)["name"]
    composed = re.sub(rf"\b{name}_(?=\w+)", "", json.dumps(resources(cluster_stack(site_plan(case)))))
    # What stands alone under the cluster's own id stands under its kind here.
    assert resources(by_hand) == json.loads(composed)


def test_the_pool_example_makes_agents_beside_foreign_things_and_no_network(tmp_path: Path) -> None:
    stack = run(tmp_path, str(ROOT / "examples" / "agent_pool_in_existing_openstack_network.py"))
    found = resources(stack)

    assert "openstack_objectstorage_container_v1.results" in found
    port = found["openstack_networking_port_v2.agents_port"]
    assert port["network_id"] == "3f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
    assert stack["data"]["openstack_compute_flavor_v2"]["agents_flavor"]["name"] == "SCS-8V-64"
    assert {address.split(".")[0] for address in found} == {
        "openstack_compute_instance_v2",
        "openstack_networking_port_v2",
        "openstack_networking_secgroup_v2",
        "openstack_networking_secgroup_rule_v2",
        "openstack_objectstorage_container_v1",
    }
    reached = {
        (rule["port"], rule["peer"])
        for rule in found["openstack_networking_secgroup_rule_v2.agents_firewall_egress-by-range"][
            "for_each"
        ].values()
    }
    assert {(2181, "10.50.16.11/32"), (8301, "10.50.20.11/32")} <= reached
