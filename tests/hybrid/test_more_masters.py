"""Three masters become five on every platform: two more, and nothing of what runs is touched.

The step before, in which those that run learn their new quorum, is `clustermesos nodes apply`'s.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from constructs_lib.plan.growth import grown, growths
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from tests.aws import clusters as aws
from tests.libvirt import clusters as libvirt
from tests.openstack import clusters as openstack
from tests.synthesized import Json, resources, with_site

CASES: dict[str, tuple[ModuleType, str]] = {
    "aws": (aws, "demo"),
    "openstack": (openstack, "private"),
    "openstack-whole": (openstack, "whole"),
    "libvirt": (libvirt, "private"),
    "libvirt-nat": (libvirt, "small"),
}
MORE = {"master-4", "master-5"}


@pytest.fixture(scope="module", params=CASES)
def stacks(request: pytest.FixtureRequest) -> tuple[Json, Json]:
    """A site's stack with three masters, and the one that follows."""
    clusters, case = CASES[request.param]
    three, five = (from_dict(with_site(clusters.settings(case), masters={"count": n})) for n in (3, 5))
    before = plan(three)
    after = plan(five, grown(before.lock, growths(five, before.lock)))
    first, second = (clusters.cluster_stack(next(iter(each.sites.values()))) for each in (before, after))
    return first, second


def touched(before: Json, after: Json) -> dict[str, Any]:
    """What a deploy would change of the things that one resource stands for, but for what it leaves alone."""
    ignored = before.get("lifecycle", {}).get("ignore_changes", [])
    compared = () if ignored == "all" else before.keys() | after.keys()
    found = {
        key: after.get(key)
        for key in compared
        if key not in (*ignored, "for_each") and before.get(key) != after.get(key)
    }
    kept = members(before)
    now = {key: members(after).get(key) for key in kept}
    return found if now == kept else {**found, "for_each": now}


def members(body: Json) -> dict[str, Any]:
    """What a resource is made for, by key; itself where that is worked out by Terraform."""
    made = body.get("for_each", {})
    return made if isinstance(made, dict) else {"": made}


def test_nothing_of_what_runs_is_touched(stacks: tuple[Json, Json]) -> None:
    before, after = map(resources, stacks)

    assert before.keys() == after.keys()
    changes = {address: touched(before[address], after[address]) for address in before}
    assert {address: change for address, change in changes.items() if change} == {}


def test_two_more_of_everything_that_a_master_has_and_of_nothing_else(stacks: tuple[Json, Json]) -> None:
    before, after = map(resources, stacks)

    new = {address: members(after[address]).keys() - members(before[address]).keys() for address in before}

    grows = {address: keys for address, keys in new.items() if keys}
    # On hosts of their own each has its volume in its own zone.
    assert set().union(*grows.values()) == MORE
    for address, keys in grows.items():
        assert "_masters" in address and keys <= MORE, address


def test_the_comparison_sees_a_moved_master() -> None:
    before = {"for_each": {"master-1": {"address": "10.20.16.11"}}, "name": "x", "lifecycle": {}}
    moved = {**before, "for_each": {"master-1": {"address": "10.20.16.12"}}}

    assert touched(before, before) == {}
    assert touched(before, moved) == {"for_each": moved["for_each"]}
    assert touched(before, {**before, "name": "y"}) == {"name": "y"}
