"""The parser that every command has: help in paragraphs, a word for what was meant, examples."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

EXIT_CODES: Final = "Exit codes: 0 fine, 1 failed, 2 wrong input."
"""What the help of a command says that has no other ones."""
EXAMPLES: Final[Mapping[str, Sequence[str]]] = {
    "check": ("check", "check staging.yaml --json"),
    "schema": ("schema > cluster.schema.json", "schema --contract > contract.schema.json"),
    "secrets": ("secrets", "secrets --check", "secrets --supply shop/db < password.txt"),
    "synth": ("synth", "synth --without-secrets --output /tmp/out"),
    "show": ("show", "show --json"),
    "plan": ("plan", "plan --exit-code", "plan --prune"),
    "apply": ("apply", "apply --prune", "apply --retry"),
    "promote": ("promote shop", "promote shop --only-say"),
    "pause": ("pause shop",),
    "resume": ("resume shop",),
    "scale": ("scale --dry-run", "scale shop", "scale --every 60"),
    "explain": ("explain shop", "explain shop --json"),
    "rollback": ("rollback shop", "rollback shop --to 1a2b3c4d", "rollback shop --to 1a2b3c4d --force"),
    "backups": ("backups", "backups orders"),
    "restore": ("restore orders", "restore orders --snapshot 4f1e2d3c --yes"),
    "status": ("status", "status --json"),
    "scan": ("scan", "scan cdktf.out --format sarif --output scan.sarif"),
    "nodes": ("nodes plan --diff", "nodes apply masters", "nodes rollback master-1"),
    "links": ("links rotate",),
    "roll": ("roll masters --dry-run", "roll agents general", "roll consul --only consul-1"),
    "simulate": ("simulate", "simulate --endpoints simulator.json --speed 10 --agents general=5"),
    "lab": ("lab up --agents general=1", "lab status", "lab exec master-1 -- ip address", "lab down"),
}
"""Command → calls of it, without the program's name."""


class UsageExit(SystemExit):
    """The end after a command line that no command understands; `said` is what is wrong with it."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(code)
        self.exit_code = code
        self.said = said


class _Paragraphs(argparse.HelpFormatter):
    """Lines that begin with spaces stay as they are; all others are filled, each by itself."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = (
            line
            if not line.strip() or line.startswith(" ")
            else super(_Paragraphs, self)._fill_text(line, width, indent)
            for line in text.split("\n")
        )
        return "\n".join(lines)


class Parser(argparse.ArgumentParser):
    """argparse's, with that help."""

    def __init__(self, *names: object, **settings: object) -> None:
        super().__init__(*names, **{"formatter_class": _Paragraphs, **settings})  # type: ignore[arg-type]

    wrong_input: int = 2
    """The exit code of a wrong call."""

    def error(self, message: str) -> NoReturn:
        """Usage and message on standard error, with a guess at what was meant; UsageExit."""
        said = message + _meant(message)
        self.print_usage(sys.stderr)
        print(f"{self.prog}: error: {said}", file=sys.stderr)
        raise UsageExit(self.wrong_input, said)


def _meant(message: str) -> str:
    """` (did you mean 'status'?)` where an argument is like one of those that there are."""
    from difflib import get_close_matches

    found = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
    near = get_close_matches(found[1], re.findall(r"[\w-]+", found[2]), n=1) if found else []
    return f"; did you mean {near[0]!r}?" if near else ""


def teach(parser: argparse.ArgumentParser, name: str) -> None:
    """Add examples to a command's help, and exit codes where it says none."""
    parser.epilog = "\n\n".join(
        (
            *([parser.epilog] if parser.epilog else []),
            *([] if "Exit codes:" in f"{parser.epilog} {parser.description}" else [EXIT_CODES]),
            "Examples:\n" + "\n".join(f"  clustermesos {example}" for example in EXAMPLES[name]),
        )
    )
