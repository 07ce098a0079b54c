"""What `roll` makes of its arguments; tests/roll has what it does."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from constructs_lib.cli.main import main
from constructs_lib.cli.roll import ask
from constructs_lib.errors import RollError

SITE = """\
  {name}:
    platform: aws
    aws: {{region: eu-west-3}}
    network: {network}
    masters: {{count: {masters}}}
    agents: {{{pools}}}
"""
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAtWHj8rtM8QGUNPFcZG/fTVYiYrfsKyKF6Ya+W74bef ops@example.org"
HEAD = f"name: demo\nadmin: {{networks: [203.0.113.0/24], ssh_keys: [{KEY}]}}\nsites:\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLUSTERMESOS_FILE", raising=False)
    text = HEAD + SITE.format(name="eu", network="10.20.0.0/16", masters=3, pools="general: {count: 1}")
    (tmp_path / "cluster.yaml").write_text(text)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What `roll` says when its input is wrong; --outdir keeps it from synthesizing."""
    assert main(["roll", *arguments, "--outdir", "cdktf.out"]) == 2
    return capsys.readouterr().err.strip()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["agents"], "roll: got 'agents', expected agents POOL, or masters alone"),
        (["masters", "general"], "roll: got 'masters general', expected agents POOL, or masters alone"),
        (["agents", "genral"], "roll agents: got 'genral', expected one of general"),
        (["edges"], "roll edges: got 'edges', expected one of masters, consul, gateway"),
        (["masters", "--site", "us"], "site: got 'us', expected one of ['eu']"),
    ],
)
def test_wrong_input_says_what_is_allowed(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert refused(capsys, *arguments) == said


def test_all_is_for_agents_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected agents" in refused(capsys, "masters", "--all")


@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan", "100000"])
def test_a_timeout_is_bounded(folder: Path, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["roll", "masters", "--gate-timeout", value])
    assert ended.value.code == 2
    assert "expected seconds, 1 to 86400" in capsys.readouterr().err


def test_a_stack_that_was_never_synthesized_says_how(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRAFORM_BINARY_NAME", "true")
    assert main(["roll", "masters", "--yes", "--outdir", "nowhere"]) == 1
    assert "synthesize first: clustermesos synth" in capsys.readouterr().err


def test_without_a_terminal_and_without_yes_nothing_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    with pytest.raises(RollError, match=r"Replace master-1\?\nThere is no terminal to answer at: say --yes"):
        ask("Replace master-1?")


@pytest.mark.parametrize(("typed", "agreed"), [("yes", True), ("Y", True), ("", False), ("no", False)])
def test_only_yes_is_yes(monkeypatch: pytest.MonkeyPatch, typed: str, agreed: bool) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: typed)
    assert ask("Replace master-1?") is agreed
