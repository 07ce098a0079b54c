"""What each contract of this repository compiles to, to be read in review.

Update: python -m tests.contracts.test_golden
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from constructs_lib.contracts.check import demand
from constructs_lib.contracts.compile import compile_contracts
from constructs_lib.contracts.compiled import Compiled
from constructs_lib.contracts.load import load_contracts
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from tests.contracts.clusters import HYBRID
from tests.golden import require_golden

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "contracts"
GOLDEN = Path(__file__).parent / "golden"
# Contracts and the cluster.yaml that they are for, by their folder in GOLDEN. An example that has both
# is found by itself, so that it can't be added without its golden files.
FOLDERS = {
    "contracts": (EXAMPLES, HYBRID),
    "demo": (ROOT / "contracts", ROOT / "cluster.yaml"),
    **{
        file.parent.name: (file.parent / "contracts", file)
        for file in sorted(ROOT.glob("examples/*/cluster.yaml"))
    },
}
FILES = [
    f"{folder}/{path.stem}.json" for folder in FOLDERS for path in sorted(FOLDERS[folder][0].glob("*.yaml"))
]


def compiled(folder: str = "contracts") -> Compiled:
    contracts, cluster = FOLDERS[folder]
    return compile_contracts(load_contracts(contracts), plan(load(cluster)))


def text(file: str) -> str:
    path = Path(file)
    contract = compiled(path.parent.name).contract(path.stem)
    assert contract is not None
    return json.dumps(dataclasses.asdict(contract), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("file", FILES)
def test_a_contract_compiles_to_its_golden_file(file: str) -> None:
    require_golden(GOLDEN / file, text(file), update="python -m tests.contracts.test_golden")


def test_every_golden_file_has_its_contract() -> None:
    assert sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*.json")) == sorted(FILES)


def test_the_demo_and_the_examples_with_a_cluster_are_among_them() -> None:
    assert {Path(file).parent.name for file in FILES} >= {"contracts", "demo", "on_call", "simulated"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_cluster_keeps_the_contracts_that_are_shown_with_it(folder: str) -> None:
    contracts, cluster = FOLDERS[folder]
    demand(load_contracts(contracts), plan(load(cluster)))


def test_what_others_need_comes_first() -> None:
    assert [contract.name for contract in compiled().contracts] == [
        "db",
        "checkout",
        "search",
        "web",
        "thumbnails",
    ]


if __name__ == "__main__":
    for each in FILES:
        (GOLDEN / each).parent.mkdir(exist_ok=True)
        (GOLDEN / each).write_text(text(each), encoding="utf-8")
