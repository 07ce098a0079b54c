"""No deploy touches two masters: what cluster.yaml says next is refused by the lock or leaves them alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from constructs_lib.errors import LockError
from constructs_lib.plan.lock import Lock
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from tests.aws.clusters import Json, cluster_stack, resources
from tests.aws.clusters import settings as case_settings

# One example that the lock lets through is two whole synths, some tenths of a second each.
FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
IN_PLACE = {"tags", "depends_on"}
"""What AWS changes without the machine noticing, and what only orders a deploy."""
REGIONS = st.sampled_from(["eu-west-3", "eu-west-1"])
CUT = {
    zone: {
        "public": f"10.20.{64 * index + 48}.0/20",
        "control": f"10.20.{64 * index}.0/20",
        "agents": f"10.20.{64 * index + 16}.0/20",
    }
    for index, zone in enumerate("abc")
}


@st.composite
def sites(draw: st.DrawFn) -> Json:
    """A valid cluster.yaml; two of them are one before and one after an edit, sensible or not."""
    given = case_settings("small")
    zones = draw(st.integers(1, 3))
    given["sites"]["eu"] |= {
        "network": "10.20.0.0/16",
        "zones": zones,
        "ranges": draw(st.sampled_from([{}, {zone: CUT[zone] for zone in "abc"[:zones]}])),
        "masters": {"count": draw(st.sampled_from([3, 5])), "cpus": draw(st.sampled_from([2, 8]))},
        "agents": {"general": {"count": draw(st.integers(0, 5))}},
        "protect_data": draw(st.booleans()),
    }
    given["sites"]["eu"]["aws"] = {"region": draw(REGIONS), "nat": draw(st.sampled_from(["one", "per_zone"]))}
    return given


@st.composite
def edits(draw: st.DrawFn) -> tuple[Json, Json]:
    """A cluster.yaml, and the same with a few settings of another one."""
    one, other = draw(sites()), draw(sites())
    edited: Json = json.loads(json.dumps(one))
    site = edited["sites"]["eu"]
    for key in draw(st.lists(st.sampled_from(sorted(site)), min_size=1, max_size=2)):
        site[key] = other["sites"]["eu"][key]
    if site["ranges"]:
        site["ranges"] = {zone: CUT[zone] for zone in "abc"[: site["zones"]]}
    return one, edited


def planned(given: Json, lock: Lock | None) -> tuple[SitePlan, Lock]:
    whole = plan(from_dict(given), lock)
    return whole.sites["eu"], whole.lock


def masters(site: SitePlan) -> dict[str, Json]:
    found = resources(cluster_stack(site))
    return {address: body for address, body in found.items() if "_masters" in address}


def touched(before: Json, after: Json) -> dict[str, Any]:
    """What a deploy would change of the masters' resources, but for what it leaves alone."""
    ignored = {"lifecycle", *before.get("lifecycle", {}).get("ignore_changes", []), *IN_PLACE}
    return {
        key: after.get(key)
        for key in before.keys() | after.keys()
        if key not in ignored and before.get(key) != after.get(key)
    }


@pytest.mark.slow
@FEW
@given(edits())
def test_an_edit_is_refused_or_leaves_every_master_that_runs_as_it_is(edit: tuple[Json, Json]) -> None:
    first, lock = planned(edit[0], None)
    try:
        second, _ = planned(edit[1], lock)
    except LockError:
        return
    before, after = masters(first), masters(second)

    assert before.keys() == after.keys()
    changes = {name: touched(before[name], after[name]) for name in before}
    assert json.dumps({name: change for name, change in changes.items() if change}) == "{}"


def test_the_comparison_sees_a_moved_master() -> None:
    given = case_settings("small")
    moved = json.loads(json.dumps(given))
    moved["sites"]["eu"]["network"] = "10.99.0.0/16"
    before, after = (masters(planned(each, None)[0]) for each in (given, moved))

    assert any(touched(before[name], after[name]) for name in before)
