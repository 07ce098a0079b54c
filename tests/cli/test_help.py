"""What holds for every command: help that teaches, --json, exit codes that are documented, colours."""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import re
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.cli.main import COMMANDS, main
from constructs_lib.cli.output import coloured
from constructs_lib.cli.parser import EXAMPLES, Parser

ANSWERS_IN_JSON_ANYWAY = {"schema"}


def parser_of(name: str) -> argparse.ArgumentParser:
    """The command's own parser."""
    parser = Parser(prog="clustermesos")
    commands = parser.add_subparsers(parser_class=Parser)
    importlib.import_module(f"constructs_lib.cli.{name}").add_parser(commands)
    found: argparse.ArgumentParser = commands.choices[name]
    return found


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers that end with something to run."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for one in action.choices.values():
            yield from leaves(one)


def helped(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_it_does_how_it_ends_and_shows_calls(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = helped(capsys, name)

    assert "Exit codes: 0 " in text.replace("\n", " ")
    assert "Examples:\n  clustermesos " in text
    assert parser_of(name).description
    options = [action for leaf in leaves(parser_of(name)) for action in leaf._actions]
    assert [one.dest for one in options if not one.help and one.option_strings] == []


@pytest.mark.parametrize("example", [one for each in EXAMPLES.values() for one in each])
def test_the_examples_of_the_help_are_calls_that_are_understood(example: str) -> None:
    words = shlex.split(re.sub(r" [<>] .*", "", example))
    commands = Parser().add_subparsers(parser_class=Parser)
    importlib.import_module(f"constructs_lib.cli.{words[0]}").add_parser(commands)

    assert callable(commands.choices[words[0]].parse_args(words[1:]).run)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_answers_in_json(name: str) -> None:
    for leaf in leaves(parser_of(name)):
        has = any("--json" in action.option_strings for action in leaf._actions)
        assert has or name in ANSWERS_IN_JSON_ANYWAY, leaf.prog


def test_the_programs_own_help_has_exit_codes_and_variables(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(helped(capsys).split())

    for word in ("130 interrupted", "CLUSTERMESOS_FILE", "NO_COLOR", "clustermesos check"):
        assert word in text
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("clustermesos ")


def test_ctrl_c_is_one_word_and_130(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("constructs_lib.cli.check.load", interrupted)

    assert main(["check", str(tmp_path / "cluster.yaml")]) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_is_ended_by_signals_as_by_ctrl_c_and_tidies_up(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    tidied = list[bool]()

    def ended(*_: object, **__: object) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        finally:
            # What is begun to end the command is not cut short by a second one.
            os.kill(os.getpid(), number)
            tidied.append(True)

    monkeypatch.setattr("constructs_lib.cli.check.load", ended)
    # Under nohup it is ignored.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        assert main(["check", str(tmp_path / "cluster.yaml")]) == 130
        assert tidied == [True]
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = list[object]()

    def asked(*_: object, **__: object) -> None:
        heard.append(signal.getsignal(signal.SIGHUP))
        raise KeyboardInterrupt

    monkeypatch.setattr("constructs_lib.cli.check.load", asked)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main(["check", str(tmp_path / "cluster.yaml")]) == 130
        assert heard == [signal.SIG_IGN]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_command_that_is_mistyped_gets_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["statsu"], ["statsu", "plan"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert capsys.readouterr().err.rstrip().endswith("did you mean 'status'?")


@pytest.mark.parametrize("words", [["apply", "--gate-timeout", "soon"], ["status", "--timeout", "-1"]])
def test_a_time_that_is_none_says_what_is_allowed(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "expected seconds above 0, such as 900" in capsys.readouterr().err


def test_a_failure_with_json_is_a_document_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cluster.yaml").write_text("name: x y\n")

    assert main(["plan", "--json", "--file", str(tmp_path / "cluster.yaml")]) == 2

    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (document["good"], document["exit_code"]) == (False, 2)
    assert 1 in [problem["line"] for problem in document["problems"]]
    assert said.err.strip() == document["error"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--json"], 2, "the following arguments are required: COMMAND"),
        (["statsu", "--json"], 2, "did you mean 'status'?"),
        (["apply", "--json", "--gate-timeout", "soon"], 2, "got 'soon', expected seconds above 0"),
        (["status", "--jso", "--nonsense"], 2, "unrecognized arguments: --nonsense"),
        (["explain", "--json"], 2, "the following arguments are required: APP"),
        (["rollback", "shop", "--force", "--json"], 2, "--force needs --to VERSION"),
        (["nodes", "plan", "--json", "--nonsense"], 1, "unrecognized arguments: --nonsense"),
        (["nodes", "apply", "--json", "--nonsense"], 2, "unrecognized arguments: --nonsense"),
        (["lab", "exec", "--json"], 2, "required"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_with_json_is_a_document_too(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)

    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert ended.value.code == code
    assert (document["good"], document["exit_code"]) == (False, code)
    assert said in document["error"]
    assert captured.err.startswith("usage: clustermesos") and captured.err.endswith(f"{document['error']}\n")


def test_a_wrong_call_without_json_and_one_whose_json_is_somebody_elses_say_nothing_on_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (["apply", "--nonsense"], ["apply", "--nonsense", "--", "--json"]):
        with pytest.raises(SystemExit):
            main(words)

        captured = capsys.readouterr()
        assert captured.out == "" and "--nonsense" in captured.err


@pytest.mark.parametrize("command", ["check", "plan", "status"])
def test_ctrl_c_with_json_is_a_document_too(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"constructs_lib.cli.{command}.run", interrupted)

    assert main([command, "--json"]) == 130
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"good": False, "error": "interrupted", "exit_code": 130}
    assert captured.err == "interrupted\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_marks_are_coloured_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "ok   mesos  fine\nNOT  app shop  ok it is not\n?    alerts eu\n  + app shop\n      note: 1 → 2"
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    assert coloured(text, io.StringIO()) == text
    shown = coloured(text, Terminal())
    assert shown.startswith("\033[32mok\033[0m   mesos  fine\n\033[31mNOT\033[0m  app shop  ok it is not\n")
    assert "\033[33m?\033[0m    alerts eu\n\033[32m  + \033[0mapp shop\n      note" in shown
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured(text, Terminal()) == text
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert coloured(text, Terminal()) == text
