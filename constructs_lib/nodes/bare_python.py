"""Scripts as they travel: on AWS a node's whole user data is 16,384 bytes at most."""

from __future__ import annotations

import hashlib
import io
import re
import tokenize
from functools import cache

from constructs_lib.nodes.templates import TEMPLATE_FOLDER

PYTHON = ("#!/usr/bin/python3\n", "#!/usr/bin/env python3\n")
SHELL = "#!/bin/sh\n"
_HERE_DOCUMENT = re.compile(r"<<-?[\"']?(\w+)")
_BEFORE_STATEMENT = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, None}
_NO_CODE = {tokenize.COMMENT, tokenize.NL}


def shipped(path: str, content: str) -> str:
    """What travels to the node: a script short, anything else as it is."""
    if content.startswith(SHELL):
        return bare_shell(content)
    return _short(content) if path.endswith(".py") or content.startswith(PYTHON) else content


def bare_shell(source: str) -> str:
    """A shell script without lines that hold only a comment; what stands in a here-document stays."""
    kept, end = [], ""
    for number, line in enumerate(source.splitlines(keepends=True)):
        if end or number == 0 or not line.lstrip().startswith("#"):
            kept.append(line)
        if end:
            end = "" if line.strip() == end else end
        elif opened := _HERE_DOCUMENT.search(line):
            end = opened[1]
    return "".join(kept)


def short_name(source: str) -> str:
    """The file below cloud-init/short that has `source` in short, see scripts/node_program.py."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


@cache
def _short(source: str) -> str:
    """The short form that was made of this very text (empty: the text itself), else the bare one."""
    made = TEMPLATE_FOLDER / "short" / short_name(source)
    return (made.read_text(encoding="utf-8") or source) if made.is_file() else bare(source)


@cache
def bare(source: str) -> str:
    """Python `source` without lines that hold only a comment, docstrings and blank lines; `#!` stays.

    The same on every Python version: only whole lines are dropped, nothing is formatted anew. A function must
    not consist of a docstring alone, nor need `__doc__`. Remembered, since every node has the same scripts.
    """
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    dropped = {token.start[0] for token in tokens if token.type == tokenize.COMMENT and _stands_alone(token)}
    before: int | None = None
    for token, after in zip(tokens, [*tokens[1:], tokens[-1]], strict=True):
        if token.type == tokenize.STRING and before in _BEFORE_STATEMENT and after.type == tokenize.NEWLINE:
            dropped.update(range(token.start[0], token.end[0] + 1))
        if token.type not in _NO_CODE:
            before = token.type
    inside = _lines_inside_strings(tokens)
    lines = source.splitlines(keepends=True)
    return "".join(
        line
        for number, line in enumerate(lines, 1)
        if number not in dropped and (line.strip() or number in inside)
    )


def _stands_alone(token: tokenize.TokenInfo) -> bool:
    shebang = token.start == (1, 0) and token.string.startswith("#!")
    return token.line[: token.start[1]].strip() == "" and not shebang


def _lines_inside_strings(tokens: list[tokenize.TokenInfo]) -> set[int]:
    """Lines that belong to a string of several lines, where a blank line means something."""
    return {
        number
        for token in tokens
        if token.type not in (*_NO_CODE, tokenize.NEWLINE, tokenize.ENDMARKER)
        for number in range(token.start[0], token.end[0])
    }
