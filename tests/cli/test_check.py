from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from constructs_lib.cli.main import main

SPEC = Path(__file__).parents[1] / "spec"
DEMO = SPEC / "good" / "demo.yaml"


def test_a_good_file_is_one_line_and_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(DEMO)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{DEMO}: ok (1 site, 3 masters, 1 Consul node, 2 pools)\n"
    assert shown.err == ""


def test_all_files_are_checked_even_after_a_bad_one(capsys: pytest.CaptureFixture[str]) -> None:
    bad = SPEC / "bad" / "masters-two.yaml"
    assert main(["check", str(bad), str(DEMO), "/dev/zero"]) == 2
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{DEMO}: ok")
    assert shown.err.splitlines()[0].startswith(f"{bad}:8: sites.eu.masters.count: got 2, expected 1, 3 or 5")
    assert shown.err.splitlines()[1].startswith("/dev/zero: ")


def test_without_an_argument_the_variable_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLUSTERMESOS_FILE", str(DEMO))
    assert main(["check"]) == 0
    assert str(DEMO) in capsys.readouterr().out


def test_without_both_it_is_cluster_yaml_in_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLUSTERMESOS_FILE", raising=False)
    assert main(["check"]) == 2
    assert capsys.readouterr().err.startswith("cluster.yaml: no such file")
    (tmp_path / "cluster.yaml").write_bytes(DEMO.read_bytes())
    assert main(["check"]) == 0


def test_existing_masters_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(SPEC / "good" / "joins-existing.yaml")]) == 0
    assert "(1 site, 3 masters, 1 Consul node, 1 pool)" in capsys.readouterr().out


def test_checking_imports_neither_the_engine_nor_other_heavy_libraries() -> None:
    program = (
        "import sys; from constructs_lib.cli.main import main; code = main(['check', sys.argv[1]]); "
        "heavy = {'cdktf', 'cdktn', 'jsii', 'jinja2', 'boto3', 'jsonschema', 'cryptography', 'requests'}; "
        "print(sorted(heavy & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(DEMO)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
