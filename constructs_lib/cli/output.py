"""How commands answer: text for a person, in colours only on a terminal; or one JSON document."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from constructs_lib.errors import ClusterMesosError, ContractError, SpecFileError

_GREEN, _YELLOW, _RED, _PLAIN = "\033[32m", "\033[33m", "\033[31m", "\033[0m"
_MARKS = re.compile(r"^(ok|\?|NOT)(?=  )|^(  [+~=-] )", re.MULTILINE)
_COLOURS: Mapping[str, str] = {
    "ok": _GREEN,
    "?": _YELLOW,
    "NOT": _RED,
    "+": _GREEN,
    "~": _YELLOW,
    "-": _RED,
}


def coloured(text: str, stream: TextIO | None = None) -> str:
    """`text` with its marks (`ok`, `NOT`, `+`, …) in colours where `stream` (standard output) is a terminal.

    Never where NO_COLOR is set (no-color.org), or TERM says that the terminal can't.
    """
    out = stream or sys.stdout
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not out.isatty():
        return text
    return _MARKS.sub(lambda found: f"{_COLOURS.get(found[0].strip(), '')}{found[0]}{_PLAIN}", text)


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_error(error: ClusterMesosError, *, as_json: bool, code: int | None = None) -> int:
    """The error for a person on standard error, and with `as_json` as a document beside it; the exit code."""
    code = error.exit_code if code is None else code
    print(error, file=sys.stderr)
    if as_json:
        more: dict[str, object] = {}
        if isinstance(error, SpecFileError | ContractError):
            more["problems"] = [vars(problem) for problem in error.problems]
        print_failure(str(error), code, **more)
    return code


def print_failure(said: str, code: int, **more: object) -> None:
    """The document of every failure: `said` is what standard error has for a person."""
    print_json({"good": False, "error": said, "exit_code": code, **more})


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether a command line has --json, which is also asked of one that no parser understands."""
    own = itertools.takewhile(lambda word: word != "--", arguments)
    # As argparse does, it takes a beginning for the whole.
    return any(len(word) > len("--") and "--json".startswith(word) for word in own)


@contextlib.contextmanager
def only_answer(as_json: bool) -> Iterator[None]:
    """While it lasts, and with `as_json`, everything that is said goes to standard error."""
    if not as_json:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield


def json_option(parser: Any) -> None:
    """The option that all commands have."""
    parser.add_argument(
        "--json", action="store_true", help="answer with one JSON document; progress goes to standard error"
    )
