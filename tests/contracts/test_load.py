"""Bad contracts and exactly what is said to each, alone and among others; what is no contract at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from constructs_lib.cli.main import main
from constructs_lib.contracts.check import demand, unkept
from constructs_lib.contracts.load import load_contracts, parse_contract, read_contracts
from constructs_lib.errors import ContractError
from tests.contracts.clusters import hybrid, one_site
from tests.contracts.test_golden import EXAMPLES

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad").iterdir())
FOLDERS = sorted((HERE / "bad_folders").iterdir())
CLUSTERS = sorted((HERE / "bad_clusters").iterdir())
PLAN = hybrid()


def said(folder: Path) -> list[str]:
    """Everything wrong in a folder, by the loader and against the cluster of the examples."""
    read = read_contracts(folder)
    return [
        str(problem).replace(f"{folder}/", "") for problem in (*read.problems, *unkept(read.contracts, PLAN))
    ]


def expected(path: Path) -> list[str]:
    """The comment lines that a bad contract begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("# ") for line in lines if line.startswith("# ")]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_problem_of_a_bad_contract_is_told_in_these_words(path: Path, tmp_path: Path) -> None:
    (tmp_path / path.name).write_bytes(path.read_bytes())
    assert said(tmp_path) == expected(path) != []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_problem_between_contracts_is_told_in_these_words(folder: Path) -> None:
    assert said(folder) == (folder / "expected.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("folder", CLUSTERS, ids=lambda folder: folder.name)
def test_what_a_cluster_cant_keep_is_told_by_check_in_these_words(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(folder / "cluster.yaml")]) == 2
    shown = capsys.readouterr()
    assert shown.err.replace(f"{folder}/", "") == (folder / "expected.txt").read_text(encoding="utf-8")
    assert shown.out.startswith(f"{folder}/cluster.yaml: ok")


def test_there_are_many_bad_contracts() -> None:
    assert len(BAD) >= 100


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_messages_are_plain_and_show_no_secret(path: Path) -> None:
    for line in expected(path):
        for never in ("Input should", "pydantic", "Traceback", "hunter2", "ghp_0"):
            assert never not in line


def test_the_examples_are_kept_by_their_cluster() -> None:
    contracts = load_contracts(EXAMPLES)
    demand(contracts, PLAN)
    assert sorted(contracts) == ["checkout", "db", "search", "thumbnails", "web"]


def test_no_folder_is_no_contract(tmp_path: Path) -> None:
    assert load_contracts(tmp_path / "contracts") == {}


def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "contracts").write_text("x", encoding="utf-8")
    with pytest.raises(
        ContractError, match=r"contracts: can't be read as a folder of contracts: Not a directory"
    ):
        load_contracts(tmp_path / "contracts")


def test_an_error_carries_every_problem_of_every_file() -> None:
    with pytest.raises(ContractError) as caught:
        load_contracts(HERE / "bad_folders" / "all-files-at-once")
    assert {Path(problem.file).name for problem in caught.value.problems} == {"a.yaml", "b.yaml", "c.yaml"}
    assert caught.value.exit_code == 2


def test_one_contract_can_be_read_from_text() -> None:
    text = (EXAMPLES / "web.yaml").read_text(encoding="utf-8")
    assert parse_contract(text).name == "web"
    with pytest.raises(ContractError, match=r"given: is empty, expected at least name, owner, dev and ops"):
        parse_contract("", "given")


def test_a_cluster_that_lacks_what_contracts_ask_for_is_refused() -> None:
    with pytest.raises(ContractError, match=r"db.yaml:\d+: ops.backup: has nowhere to go"):
        demand(load_contracts(EXAMPLES), one_site())
