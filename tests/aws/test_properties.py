"""What holds for every valid cluster, not only for those of the other tests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from constructs_lib.components.model import Role
from tests.aws.clusters import Json, plan_of, resources, stack_anew
from tests.aws.clusters import settings as case_settings

# One example is a whole synth through the engine, some tenths of a second.
FEW = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
NAMES = st.sampled_from(["general", "batch", "memory", "gpu-less", "web", "z9"])
AGENT_SIZES = st.fixed_dictionaries(
    {"cpus": st.sampled_from([1, 2, 4, 8, 48]), "memory_gib": st.sampled_from([2, 8, 16, 64])},
    optional={"spot": st.booleans(), "disk_gib": st.integers(20, 500), "labels": st.just({"team": "x"})},
)
COUNTS = st.one_of(
    st.fixed_dictionaries({"count": st.integers(0, 20)}),
    st.fixed_dictionaries({"min": st.integers(0, 3), "max": st.integers(3, 40)}),
)
POOLS = st.builds(lambda size, count: {**size, **count}, AGENT_SIZES, COUNTS)
EDGES = st.one_of(
    st.none(),
    st.fixed_dictionaries({"count": st.integers(1, 3)}),
    st.just({"count": 2, "public": True, "allow": ["198.51.100.0/24"]}),
)


@st.composite
def clusters(draw: st.DrawFn) -> Json:
    """A valid cluster.yaml with one AWS site."""
    given = case_settings("small")
    site = given["sites"]["eu"]
    site |= {
        "network": draw(st.sampled_from(["10.30.0.0/20", "10.20.0.0/16", "192.168.0.0/16"])),
        "zones": draw(st.integers(1, 3)),
        "masters": {"count": draw(st.sampled_from([1, 3, 5]))},
        "consul": {"count": draw(st.sampled_from([1, 3]))},
        "agents": draw(st.dictionaries(NAMES, POOLS, min_size=1, max_size=4)),
        "protect_data": draw(st.booleans()),
    }
    site["aws"]["nat"] = draw(st.sampled_from(["one", "per_zone"]))
    edge = draw(EDGES)
    return given if edge is None else _with(given, edge=edge)


def _with(given: Json, **site: Any) -> Json:
    changed: Json = json.loads(json.dumps(given))
    changed["sites"]["eu"] |= site
    return changed


def _resources(given: Json) -> dict[str, Json]:
    return resources(stack_anew(plan_of(given)))


@pytest.mark.slow
@FEW
@given(clusters())
def test_every_valid_cluster_synthesizes_to_the_same_bytes_twice(given: Json) -> None:
    first, second = (json.dumps(stack_anew(plan_of(given)), sort_keys=True) for _ in range(2))

    assert first == second


@pytest.mark.slow
@FEW
@given(clusters(), st.integers(1, 100))
def test_more_agents_change_no_other_resource(given: Json, more: int) -> None:
    name = next(iter(given["sites"]["eu"]["agents"]))
    grown = json.loads(json.dumps(given))
    pool = grown["sites"]["eu"]["agents"][name]
    key = "count" if "count" in pool else "max"
    pool[key] += more

    before, after = _resources(given), _resources(grown)

    assert before.keys() == after.keys()
    group = f"aws_autoscaling_group.small_agents-{name}"
    assert {address for address in before if before[address] != after[address]} == {group}


@pytest.mark.slow
@FEW
@given(clusters(), POOLS)
def test_one_more_pool_changes_no_existing_resource(given: Json, pool: Json) -> None:
    agents = given["sites"]["eu"]["agents"]
    grown = _with(given, agents={**agents, "added": pool})

    before, after = _resources(given), _resources(grown)

    assert {address: after[address] for address in before} == before
    assert {address.split("_agents-")[-1] for address in after.keys() - before.keys()} == {
        "added",
        "added_template",
    }


@pytest.mark.slow
@FEW
@given(clusters(), st.data())
def test_a_pool_less_touches_no_other(given: Json, data: st.DataObject) -> None:
    agents = {**given["sites"]["eu"]["agents"], "stays": {"count": 1}}
    gone = data.draw(st.sampled_from(sorted(agents.keys() - {"stays"})))
    whole = _with(given, agents=agents)
    less = _with(given, agents={name: pool for name, pool in agents.items() if name != gone})

    before, after = _resources(whole), _resources(less)

    assert {address: before[address] for address in after} == after
    assert all(
        address.split("_agents-")[-1].removesuffix("_template") == gone
        for address in before.keys() - after.keys()
    )


@pytest.mark.slow
@FEW
@given(clusters())
def test_one_site_wide_setting_more_touches_no_master(given: Json) -> None:
    """Tags are changed in place; nothing else of two masters is in one plan."""
    changed = _with(given, mtu=8951) | {"tags": {"owner": "ops"}}

    before, after = _resources(given), _resources(changed)

    for address in before:
        if "_masters_" in address:
            ignored = set(before[address].get("lifecycle", {}).get("ignore_changes", []))
            differs = {key for key in before[address] if before[address][key] != after[address].get(key)}
            assert differs - ignored <= {"tags"}, address


@pytest.mark.slow
@FEW
@given(clusters())
def test_every_node_is_in_the_subnet_and_group_of_its_role(given: Json) -> None:
    site = plan_of(given)
    found = _resources(given)

    for node in site.nodes:
        if node.role is not Role.GATEWAY:
            assert node.address in node.zone.control
    groups = {
        body["vpc_security_group_ids"][0] for name, body in found.items() if name.startswith("aws_instance.")
    }
    assert groups == {
        f'${{aws_security_group.small_firewall["{role}"].id}}' for role in {node.role for node in site.nodes}
    }
