"""Which contracts can be gone by where others of their folder are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from constructs_lib.contracts.usable import Usable, usable_contracts
from constructs_lib.errors import ContractError
from tests.contracts.clusters import one_site

PLAN = one_site()
RIGHT = """\
name: {name}
owner: shop@example.org
dev:
  command: sleep 3600
  depends_on: [{needs}]
ops: {{cpus: {cpus}, memory_mib: 64, deploy: {{strategy: recreate}}}}
"""


def written(folder: Path, *names: str, needs: str = "", cpus: float = 0.1) -> None:
    for name in names:
        (folder / f"{name}.yaml").write_text(RIGHT.format(name=name, needs=needs, cpus=cpus))


def usable(folder: Path, *names: str) -> Usable:
    return usable_contracts(folder, PLAN, names)


def test_where_all_are_right_nothing_is_left_out(tmp_path: Path) -> None:
    written(tmp_path, "one", "two")

    assert list(usable(tmp_path).contracts) == ["one", "two"]
    assert usable(tmp_path).left_out == ""


def test_a_contract_that_is_wrong_and_one_that_no_agent_can_hold_are_left_out(tmp_path: Path) -> None:
    written(tmp_path, "fits")
    written(tmp_path, "huge", cpus=64)
    (tmp_path / "half.yaml").write_text("name: half\nowner: [\n")

    found = usable(tmp_path, "fits")

    assert list(found.contracts) == ["fits"]
    assert found.left_out.startswith(f"2 files are wrong and left out: {tmp_path}/half.yaml")


def test_a_contract_stays_where_only_what_it_needs_is_wrong(tmp_path: Path) -> None:
    written(tmp_path, "shop", needs="database")
    (tmp_path / "database.yaml").write_text("name: database\n")

    found = usable(tmp_path, "shop")

    assert list(found.contracts) == ["shop"]
    assert found.left_out.startswith(f"1 file is wrong and left out: {tmp_path}/database.yaml:")


def test_the_contract_that_is_asked_for_has_to_be_right_and_only_its_own_problems_are_told(
    tmp_path: Path,
) -> None:
    written(tmp_path, "huge", cpus=64)
    (tmp_path / "half.yaml").write_text("name: half\n")

    with pytest.raises(ContractError) as refused:
        usable(tmp_path, "huge")

    assert {Path(one.file).name for one in refused.value.problems} == {"huge.yaml"}


def test_a_folder_that_cant_be_read_is_an_error_whatever_is_asked_for(tmp_path: Path) -> None:
    place = tmp_path / "contracts"
    place.write_text("")

    with pytest.raises(ContractError, match="can't be read as a folder of contracts"):
        usable(place)
