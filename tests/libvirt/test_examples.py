"""The example, and the cloud that is written by hand, run as their user would run them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.aws.test_examples import ROOT, run
from tests.libvirt.clusters import CASES, GOLDEN, cluster_stack, of_kind, resources, settings, site_plan

pytestmark = pytest.mark.slow

EXAMPLE = ROOT / "examples" / "two_clusters_on_one_libvirt_bridge.py"


@pytest.mark.parametrize("case", CASES)
def test_the_cloud_written_by_hand_is_the_composed_one(case: str, tmp_path: Path) -> None:
    shutil.copyfile(GOLDEN / case / "cluster.yaml", tmp_path / "cluster.yaml")

    by_hand = run(tmp_path, "-m", "stacks.private_libvirt")

    composed = cluster_stack(site_plan(case))
    name = settings(case)["name"]
    text = re.sub(rf"\b{name}_(?=\w+)", "", json.dumps(resources(composed)))
    assert resources(by_hand) == json.loads(text)
    assert len(by_hand["data"]["libvirt_node_info"]) == len(composed["data"]["libvirt_node_info"])
    assert by_hand["provider"] == composed["provider"]


def test_the_example_puts_two_clusters_on_one_bridge_and_the_same_hosts(tmp_path: Path) -> None:
    stack = run(tmp_path, str(EXAMPLE))

    assert "libvirt_network" not in stack["resource"]
    assert "libvirt_volume.scratch" in resources(stack)
    assert len(stack["provider"]["libvirt"]) == 2
    for name in ("stable", "canary"):
        domain = of_kind(stack, "libvirt_domain.")[f"{name}_masters_domain-a"]
        assert domain["devices"]["interfaces"][0]["source"] == {"bridge": {"bridge": "br-lab"}}
        told = of_kind(stack, "libvirt_cloudinit_disk.")[f"{name}_masters_drive"]["network_config"]
        assert "/14\n        gateway: 10.60.0.1\n" in told
    assert sorted(stack["output"]) == ["canary_cluster", "cluster"]
    assert {"zookeeper_super_password", "canary_zookeeper_super_password"} <= stack["variable"].keys()
