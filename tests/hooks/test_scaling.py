"""The number of instances that load asks for, and the brakes on it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib.contracts.compiled import (
    AppVersion,
    CompiledContract,
    Deployment,
    Instances,
    Scaling,
)
from constructs_lib.hooks.documents import Kept
from constructs_lib.hooks.observed import Progress
from constructs_lib.hooks.scaling import Decision, Load, decide

CONTRACT = CompiledContract(
    name="shop",
    cluster="shop",
    owner="shop@example.org",
    app=AppVersion(id="/shop/v1", version="v1", body={}, checked=True),
    instances=Instances(min=2, max=20, scaling=Scaling(signal="cpu", target=0.8)),
    deployment=Deployment(strategy="rolling"),
)


def decided(
    utilization: float, happy: int, asked: int, *, kept: Kept | None = None, offset: float = 0.0
) -> Decision:
    load = Load(utilization=[utilization] * happy, asked=asked)
    return decide(with_offset(offset), kept or Kept(count=asked), load)


def with_offset(offset: float) -> CompiledContract:
    instances = Instances(min=2, max=20, scaling=Scaling(signal="cpu", target=0.8, offset=offset))
    return replace(CONTRACT, instances=instances)


@pytest.mark.parametrize(
    ("utilization", "happy", "asked", "offset", "count", "brake"),
    [
        (1.0, 8, 8, 0.0, 10, ""),
        (0.4, 8, 8, 0.0, 6, "at most 30% fewer at once"),
        (0.6, 8, 8, 0.0, 6, ""),
        (0.82, 8, 8, 0.0, 8, "near enough"),
        (0.74, 8, 8, 0.0, 8, "near enough"),
        (0.1, 5, 8, 0.0, 8, "only 5 of 8 are happy"),
        (1.0, 6, 8, 0.0, 8, ""),
        (1.0, 4, 8, 0.0, 8, "load is above the target"),
        (0.5, 4, 4, 0.3, 3, "at most 30% fewer at once"),
        (1.0, 20, 20, 0.0, 20, "within bounds"),
        (1.0, 2, 2, 0.0, 3, ""),
        (0.7, 8, 8, 0.0, 7, ""),
        (0.62, 8, 8, 0.0, 7, ""),
        (0.0, 2, 2, 0.0, 2, ""),
    ],
)
def test_the_number_follows_load_with_brakes(
    utilization: float, happy: int, asked: int, offset: float, count: int, brake: str
) -> None:
    found = decided(utilization, happy, asked, offset=offset)

    assert found.count == count, found.why
    assert brake in found.why
    assert (
        f"{utilization:.2f} of {happy} happy instances, target 0.8, offset {offset:g}, asked {asked}"
        in found.why
    )


def test_nothing_is_decided_while_a_version_is_deployed_or_nothing_is_measured() -> None:
    deploying = Kept(count=4, progress=Progress(version="v2", done=False))

    assert decided(1.0, 4, 4, kept=deploying) == Decision(
        count=None, why="frozen: version v2 is being deployed"
    )
    assert decided(1.0, 0, 4) == Decision(count=None, why="no instance is measured: stays at 4")


@pytest.mark.parametrize(
    ("measured", "missing", "count"),
    [([1.0], 7, None), ([1.1] * 7, 1, 10), ([0.1] * 7, 1, None), ([0.8] * 7, 1, None), ([2.0] * 4, 4, 10)],
)
def test_what_is_not_measured_counts_as_idle_and_may_only_speak_for_more(
    measured: list[float], missing: int, count: int | None
) -> None:
    found = decide(CONTRACT, Kept(count=8), Load(utilization=measured, missing=missing, asked=8))

    assert found.count == count, found.why
    assert f"of 8 happy instances ({missing} not measured, counted as idle)" in found.why
    assert ("too little is known, stays at 8" in found.why) == (count is None)


@pytest.mark.parametrize(("since", "count"), [(0.0, 8), (299.0, 8), (300.0, 6)])
def test_nothing_is_taken_away_soon_after_the_number_changed(since: float, count: int) -> None:
    kept = Kept(count=8, counted=1000.0)

    assert decide(CONTRACT, kept, Load(utilization=[0.4] * 8, asked=8, now=1000 + since)).count == count
    assert decide(CONTRACT, kept, Load(utilization=[1.0] * 8, asked=8, now=1000 + since)).count == 10


def test_a_number_that_is_lost_is_the_most_that_there_may_be() -> None:
    assert decided(0.1, 4, 4, kept=Kept()).count == 20


def test_a_contract_without_a_signal_keeps_its_number() -> None:
    fixed = replace(CONTRACT, instances=Instances(min=2, max=2))

    assert decide(fixed, Kept(), Load(utilization=[1.0], asked=2)).count is None


@given(
    utilization=st.lists(st.floats(0, 1), min_size=1, max_size=20),
    asked=st.integers(2, 20),
    offset=st.floats(0, 0.5),
)
def test_it_never_goes_out_of_bounds_or_down_too_fast_or_against_the_load(
    utilization: list[float], asked: int, offset: float
) -> None:
    load = Load(utilization=utilization, asked=asked)

    count = decide(with_offset(offset), Kept(count=asked), load).count

    assert count is not None and 2 <= count <= 20
    assert count >= 0.7 * asked
    mean = sum(utilization) / len(utilization)
    assert not (mean > 0.8 and count < asked) and not (mean < 0.8 and count > asked)
