"""What each example compiles to, to be read in review. Update: python -m tests.contracts.test_golden"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from constructs_lib.contracts.compile import compile_contracts
from constructs_lib.contracts.compiled import Compiled
from constructs_lib.contracts.load import load_contracts
from tests.contracts.clusters import hybrid
from tests.golden import require_golden

EXAMPLES = Path(__file__).parents[2] / "examples" / "contracts"
GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))


def compiled() -> Compiled:
    return compile_contracts(load_contracts(EXAMPLES), hybrid())


def text(name: str) -> str:
    contract = compiled().contract(name)
    assert contract is not None
    return json.dumps(dataclasses.asdict(contract), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_an_example_compiles_to_its_golden_file(name: str) -> None:
    require_golden(GOLDEN / f"{name}.json", text(name), update="python -m tests.contracts.test_golden")


def test_every_golden_file_has_its_example() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == NAMES


def test_what_others_need_comes_first() -> None:
    assert [contract.name for contract in compiled().contracts] == [
        "db",
        "checkout",
        "search",
        "web",
        "thumbnails",
    ]


if __name__ == "__main__":
    for each in NAMES:
        (GOLDEN / f"{each}.json").write_text(text(each), encoding="utf-8")
