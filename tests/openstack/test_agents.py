from __future__ import annotations

import json
import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from constructs_lib.errors import SpecError
from constructs_lib.plan.addresses import planned_agents
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from tests.openstack.clusters import Json, cluster_stack, plan_of, resources, settings, site_plan, with_site


def members(stack: Json, pool: str) -> str:
    text: str = stack["locals"][f"demo_agents-{pool}_members"]
    return text


def test_more_agents_change_one_number_and_nothing_else() -> None:
    before = cluster_stack(site_plan())
    agents = settings("private")["sites"]["dc1"]["agents"]
    agents["batch"]["count"] = 3000
    after = cluster_stack(site_plan(agents=agents))

    assert members(after, "batch") == members(before, "batch").replace("range(20)", "range(3000)")
    one, other = resources(before), resources(after)
    assert one.keys() == other.keys()
    for address, body in one.items():
        read_back = {"for_each"} if "agents-batch" in address else set()
        assert {key for key in body if body[key] != other[address][key]} <= read_back


def test_a_pool_less_moves_no_other() -> None:
    given = settings("private")
    del given["sites"]["dc1"]["agents"]["general"]

    whole = plan(from_dict(settings("private")))
    less = plan(from_dict(given), whole.lock)

    assert less.site("dc1").pool("batch").ranges == whole.site("dc1").pool("batch").ranges


def test_pools_and_nodes_share_no_address() -> None:
    site = site_plan("whole")
    taken = [network for pool in site.pools for network in pool.ranges.values()]

    for index, network in enumerate(taken):
        assert not any(network.overlaps(other) for other in taken[index + 1 :])
        assert not any(node.address in network for node in site.nodes)
        assert IPv4Address(int(site.network.network_address) + 1) not in [network[4], network[5]]


def test_a_zone_that_is_added_later_moves_no_agent() -> None:
    given = with_site(settings("private"), zones=2, openstack={"availability_zones": ["az1", "az2"]})
    before = plan(from_dict(given))
    grown = settings("private")
    grown["sites"]["dc1"]["agents"]["later"] = {"count": 3}
    after = plan(from_dict(grown), before.lock)

    for pool in ("general", "batch"):
        assert after.site("dc1").pool(pool).ranges == before.site("dc1").pool(pool).ranges
    assert list(after.site("dc1").pool("later").ranges) == ["a", "b", "c"]


def test_a_pool_that_is_too_large_for_its_part_says_how_many_fit() -> None:
    given = with_site(settings("small"), network="10.30.0.0/22", agents={"general": {"count": 60}})

    with pytest.raises(SpecError, match=r"sites\.dc1\.agents\.general\.count: got 60, expected at most 59"):
        plan_of(given)


def test_the_stack_of_ten_thousand_agents_is_no_larger() -> None:
    agents = {"general": {"count": 10_000}}
    few = len(json.dumps(cluster_stack(site_plan(agents={"general": {"count": 10}}))))

    assert len(json.dumps(cluster_stack(site_plan(agents=agents)))) - few < 40


@pytest.mark.terraform
def test_terraform_gives_each_agent_the_address_that_the_plan_gives_it(
    terraform: Path, tool_environment: dict[str, str], tmp_path: Path
) -> None:
    site = site_plan()
    text = members(cluster_stack(site), "batch")
    (tmp_path / "main.tf.json").write_text(json.dumps({"output": {"members": {"value": text}}}))

    for arguments in (["init"], ["apply", "-auto-approve"]):
        subprocess.run(
            [terraform, *arguments, "-input=false"],
            cwd=tmp_path,
            env=tool_environment,
            check=True,
            capture_output=True,
            timeout=120,
        )

    state = json.loads((tmp_path / "terraform.tfstate").read_text())
    found = state["outputs"]["members"]["value"]
    zones = {"a": "az1", "b": "az2", "c": "az3"}
    assert found == {
        agent.name: {"address": str(agent.address), "zone": zones[agent.zone.name]}
        for agent in planned_agents(site.pool("batch"), site.zones)
    }
    assert found["batch-5"] == {"address": "10.20.112.5", "zone": "az2"}
    assert len({agent["address"] for agent in found.values()}) == 20
