"""`clustermesos lab` where no lab runs, or none can."""

from __future__ import annotations

from pathlib import Path

import pytest

from constructs_lib.cli.main import main


def test_status_without_a_lab_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "--file", str(tmp_path / "cluster.yaml"), "status"]) == 1
    assert "clustermesos lab up starts one" in capsys.readouterr().err


def test_up_without_root_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main(["lab", "--file", str(tmp_path / "cluster.yaml"), "up"]) == 1
    assert capsys.readouterr().err == (
        "no lab on this machine: the lab boots machines, which only root may do: run it with sudo\n"
    )


@pytest.mark.parametrize("wrong", ["general", "general=", "=1", "general=-1"])
def test_a_wrong_number_of_agents_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["lab", "up", "--agents", wrong])
    assert ended.value.code == 2
    assert "expected POOL=N" in capsys.readouterr().err
