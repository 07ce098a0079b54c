"""Same contracts, same bytes: whatever the order, and whatever the process's hash seed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib.contracts.compile import compile_contract, compile_contracts
from constructs_lib.contracts.load import load_contracts
from tests.contracts.clusters import hybrid
from tests.contracts.examples import contract
from tests.contracts.test_golden import EXAMPLES, compiled

PLAN = hybrid()
LOADED = load_contracts(EXAMPLES)


def as_bytes(value: Any) -> bytes:
    return json.dumps(dataclasses.asdict(value)).encode()


@pytest.mark.slow
@given(st.permutations(sorted(LOADED)))
def test_the_order_of_the_input_changes_no_byte(names: list[str]) -> None:
    assert as_bytes(compile_contracts([LOADED[name].contract for name in names], PLAN)) == as_bytes(
        compiled()
    )


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z]{1,8}X", fullmatch=True), st.text("abc ", max_size=5).map(str.strip)
    ),
    st.integers(1, 9),
    st.sampled_from([0.1, 0.25, 1]),
)
def test_compiling_twice_gives_the_same_bytes(env: dict[str, str], instances: int, cpus: float) -> None:
    one = contract(dev={"env": env}, instances=instances, cpus=cpus)
    again = contract(dev={"env": dict(reversed(env.items()))}, instances=instances, cpus=cpus)
    assert as_bytes(compile_contract(one, PLAN)) == as_bytes(compile_contract(again, PLAN))


@given(
    st.integers(0, 50),
    st.integers(0, 50),
    st.sampled_from([{}, {"pools": ["data"]}, {"policy": "hybrid"}, {"spread": {"zones": 2}}]),
    st.booleans(),
)
def test_another_number_of_instances_is_never_another_version(
    first: int, second: int, ops: dict[str, Any], keeps: bool
) -> None:
    dev = {"state": {"volumes": {"data": {"path": "/data"}}}} if keeps else {}
    one, other = (contract(dev=dev, instances=number, **ops) for number in (first, second))
    assert compile_contract(one, PLAN).app == compile_contract(other, PLAN).app


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "2"])
def test_another_process_compiles_the_same_bytes(seed: str) -> None:
    program = (
        "import hashlib; from tests.contracts.test_golden import compiled; "
        "from tests.contracts.test_compile import as_bytes; "
        "print(hashlib.sha256(as_bytes(compiled())).hexdigest())"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == hashlib.sha256(as_bytes(compiled())).hexdigest()


def test_instances_deployment_and_route_are_the_contracts() -> None:
    one = compile_contract(
        contract(
            instances={"min": 2, "max": 5, "follow": "cpu", "target": 0.5},
            deploy={
                "strategy": "canary",
                "min_healthy_seconds": 5,
                "progress_deadline_seconds": 60,
                "drain_seconds": 7,
                "on_drain_timeout": "wait",
                "canary": {
                    "percent": 9,
                    "instances": 2,
                    "seconds": 30,
                    "min_requests": 3,
                    "promote": "manual",
                    "checks": [{"name": "up", "query": 'up{v="$version"}', "lower": 1, "dry_run": True}],
                },
            },
            route={"host": "shop.example.org", "path": "/shop", "smoke": "/shop/ok"},
        ),
        PLAN,
    )
    assert (one.instances.min, one.instances.max) == (2, 5)
    assert one.instances.scaling is not None
    assert (one.instances.scaling.signal, one.instances.scaling.target) == ("cpu", 0.5)
    deployment = dataclasses.asdict(one.deployment)
    (check,) = deployment.pop("checks")
    assert deployment == {
        "strategy": "canary",
        "min_healthy": 5.0,
        "progress_deadline": 60.0,
        "drain_timeout": 7.0,
        "on_drain_timeout": "wait",
        "surge": 1,
        "canary_percent": 9,
        "canary_instances": 2,
        "canary_seconds": 30.0,
        "canary_min_requests": 3,
        "promote": "manual",
    }
    query = f'up{{v="{one.app.version}"}}'
    assert check == {"name": "up", "query": query, "lower": 1.0, "upper": None, "dry_run": True}
    assert one.route is not None
    assert dataclasses.astuple(one.route) == ("shop.example.org", "/shop", "shop", "/shop/ok")


def test_whoever_looks_into_consul_sees_whose_a_contract_is() -> None:
    one = compile_contract(contract(policy="hybrid"), PLAN)
    (document,) = (json.loads(value) for value in one.settings.values())
    assert list(one.settings) == ["contracts/shop"]
    assert document["owner"] == "shop@example.org" and document["version"] == one.app.version
