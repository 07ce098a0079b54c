"""What the scaler decided is kept and shown, whether it changed the number or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.contracts.compiled import Compiled
from constructs_lib.hooks.decisions import decisions
from constructs_lib.hooks.hook import Verdict
from tests.hooks.rolling_platform import Platform
from tests.hooks.test_scaler import Measures, following, scaled, scaler_of


@pytest.mark.slow
def test_the_last_decision_is_one_row_with_its_inputs(platform: Platform) -> None:
    contract, measures = following(platform, "v1", "load"), Measures()
    prometheus: Any = measures
    scaler = replace(scaler_of(platform, contract), sites={"eu": prometheus})
    platform.deploy(contract)

    def row() -> Verdict:
        with platform.connected() as found:
            (one,) = decisions(found, Compiled(cluster="shop", contracts=(contract, platform.contract("v1"))))
        return one

    assert (row().mark, row().says) == ("?", "nobody has decided yet; clustermesos scale --every 60 does")

    measures.now = (1.0, 1.0, 1.0, 1.0)
    assert scaled(scaler, contract, platform) == (5, True)
    changed = platform.rollout().documents.of(platform.name)
    assert (row().mark, row().kind, row().name) == ("ok", "scale", platform.name)
    assert row().says.startswith("5 instances, decided at ")
    assert "load 1.00 of 4 happy instances, target 0.8, offset 0, asked 2, 2 to 6 → 5" in row().says

    platform.cluster.advance(60)
    measures.now = (0.8,) * 5
    assert scaled(scaler, contract, platform) == (5, None)
    later = platform.rollout().documents.of(platform.name)
    assert "(near enough)" in row().says
    assert later.counted == changed.counted, "when the number changed is another thing"
    assert (later.decided or 0) > (changed.decided or 0)


def test_without_anything_measured_the_number_stays_and_the_row_says_so(platform: Platform) -> None:
    contract = following(platform, "v1", "load")
    platform.deploy(contract)
    measures: Any = Measures()

    scaled(replace(scaler_of(platform, contract), sites={"eu": measures}), contract, platform)

    kept = platform.rollout().documents.of(platform.name)
    assert (kept.count, kept.why) == (2, "no instance is measured: stays at 2")


def test_without_consul_it_is_no_failure_and_no_guess(platform: Platform) -> None:
    contract = following(platform, "v1", "load")
    with platform.connected("http://127.0.0.1:9") as found:
        (one,) = decisions(found, Compiled(cluster="shop", contracts=(contract,)))

    assert (one.mark, one.says.partition(":")[0]) == ("?", "what was decided is not known")
