"""YAML text as plain data that knows its lines.

Built from the parser's events instead of a loader, so that depth and size are bounded before anything
recursive runs. Scalars follow YAML 1.2's core schema: `no`, `12:30` and dates are text, `0o17` is octal.
Aliases and merge keys (`<<`) are allowed; what they expand to is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from constructs_lib.errors import Problem
from constructs_lib.spec.findings import Path
from constructs_lib.spec.source import CLUSTER, Subject, refuse_file
from constructs_lib.spec.wording import show, show_key, show_path

DEEPEST = 20
"""Levels of nesting; a full cluster.yaml has 7."""
MOST_VALUES = 20_000
"""Keys and values, aliases expanded."""

_Parser: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]{1,30}")
_PREFIXED_INT = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,30}")
_DIGITS = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")
_SPECIAL_FLOAT = re.compile(r"[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass
class Node:
    """One value with its line: a scalar in `value`, or `entries` of a mapping, or `items` of a list."""

    line: int
    value: object = None
    entries: dict[str, tuple[int, Node]] | None = None
    """By key: the key's line and the value."""
    items: list[Node] | None = None
    size: int = 1
    """Values in it, itself included."""

    def plain(self) -> object:
        """Dicts, lists and scalars."""
        if self.entries is not None:
            return {key: node.plain() for key, (_, node) in self.entries.items()}
        return [node.plain() for node in self.items] if self.items is not None else self.value

    def line_of(self, path: Path) -> int:
        """The line where the user has to look for `path`: the deepest part of it that exists."""
        node, line = self, 0
        for part in path:
            if node.entries is not None and part in node.entries:
                key_line, node = node.entries[str(part)]
                line = key_line if node.entries is not None or node.items is not None else node.line
            elif node.items is not None and isinstance(part, int) and part < len(node.items):
                node = node.items[part]
                line = node.line
            else:
                break
        return line


def resolve_scalar(text: str) -> object:
    """A plain (unquoted) scalar by YAML 1.2's core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text) or _PREFIXED_INT.fullmatch(text):
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    if _DIGITS.fullmatch(text):
        return text  # beyond any number that is meant; int() of thousands of digits is slow or refused
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", ""))
    return text


@dataclass
class _Builder:
    """One pass over the events; problems that don't stop it are kept, so that all are told at once."""

    file: str
    events: Iterator[Any]
    """yaml.Event; the stubs don't know the attributes of the kinds of events."""
    anchors: dict[str, Node | None] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[Path] = field(default_factory=set)
    values: int = 0

    def result(self, root: Node) -> Document:
        return Document(root, tuple(self.problems), frozenset(self.broken))

    def problem(self, line: int, path: Path, message: str) -> None:
        self.problems.append(Problem(file=self.file, line=line, path=show_path(path), message=message))

    def count(self, size: int, line: int) -> None:
        self.values += size
        if self.values > MOST_VALUES:
            refuse_file(self.file, f"holds more than {MOST_VALUES} values, aliases expanded", line)

    def node(self, event: Any, path: Path, depth: int) -> Node:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, line)
        if depth > DEEPEST:
            refuse_file(self.file, f"is nested deeper than {DEEPEST} levels", line)
        self.count(1, line)
        if getattr(event, "tag", None) is not None and event.tag != "!":
            self.problem(line, path, f"the YAML tag {show_key(event.tag)} is not used here: remove it")
        if event.anchor:
            self.anchors[event.anchor] = None
        if isinstance(event, yaml.MappingStartEvent):
            node = self.mapping(line, path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.sequence(line, path, depth)
        else:
            plain = event.implicit[0] and event.style in (None, "")
            node = Node(line, resolve_scalar(event.value) if plain else event.value)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any, line: int) -> Node:
        name = show_key(event.anchor)
        if event.anchor not in self.anchors:
            refuse_file(self.file, f"alias *{name} has no anchor &{name} before it", line)
        node = self.anchors[event.anchor]
        if node is None:
            refuse_file(self.file, f"alias *{name} contains itself", line)
        self.count(node.size, line)
        return node

    def sequence(self, line: int, path: Path, depth: int) -> Node:
        items: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, (*path, len(items)), depth + 1))
        return Node(line, items=items, size=1 + sum(item.size for item in items))

    def mapping(self, line: int, path: Path, depth: int) -> Node:
        entries: dict[str, tuple[int, Node]] = {}
        merged: list[tuple[int, Node]] = []
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key_line = event.start_mark.line + 1
            key = self.node(event, path, depth + 1)
            name = key.value
            is_text = isinstance(name, str) and key.entries is None and key.items is None
            child_path = (*path, name) if isinstance(name, str) else path
            child = self.node(next(self.events), child_path, depth + 1)
            if not is_text or not isinstance(name, str):
                self.bad_key(key, key_line, path)
            elif name == "<<":
                merged.append((key_line, child))
            elif name in entries:
                first = entries[name][0]
                self.problem(key_line, child_path, f"is set twice, first on line {first}: remove one")
            else:
                entries[name] = (key_line, child)
        for key_line, source in merged:
            self.merge(entries, source, key_line, path)
        return Node(line, entries=entries, size=1 + sum(1 + node.size for _, node in entries.values()))

    def bad_key(self, key: Node, line: int, path: Path) -> None:
        if path:  # a file's own settings all have words for keys, so that none of them was meant
            self.broken.add(path)
        if key.entries is not None or key.items is not None:
            self.problem(line, path, "a key is a list or a group of settings, expected text")
        else:
            hint = f'write it in quotes: "{show(key.value)}"' if key.value is not None else "name the setting"
            self.problem(line, path, f"a key is {show(key.value)}, expected text: {hint}")

    def merge(self, entries: dict[str, tuple[int, Node]], source: Node, line: int, path: Path) -> None:
        """`<<: *pool` or `<<: [*a, *b]`: keys that the mapping has itself win, then the earlier source."""
        for each in source.items if source.items is not None else [source]:
            if each.entries is None:
                self.problem(line, path, "<< takes the alias of a group of settings")
                continue
            for name, entry in each.entries.items():
                if name not in entries:
                    self.count(entry[1].size, line)
                    entries[name] = entry


@dataclass(frozen=True)
class Document:
    """A file's settings, and what is wrong with their form; at the `broken` paths something was left out."""

    root: Node
    problems: tuple[Problem, ...]
    broken: frozenset[Path]


def compose(text: str, file: str, subject: Subject = CLUSTER) -> Document:
    """The one document in `text`; SpecFileError when it is no mapping."""
    builder = _Builder(file, iter(()))
    try:
        builder.events = yaml.parse(text, Loader=_Parser)
        root = _document(builder, subject)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        refuse_file(file, f"is not valid YAML: {_syntax(error, text)}", line)
    except yaml.YAMLError:
        refuse_file(file, "is not valid YAML")
    if root is None:
        refuse_file(file, f"is empty, expected at least {subject.least}")
    if root.entries is None:
        got = "a list" if root.items is not None else show(root.value)
        refuse_file(file, f"got {got}, expected settings such as `name: demo`", root.line)
    return builder.result(root)


def _document(builder: _Builder, subject: Subject) -> Node | None:
    root: Node | None = None
    for event in builder.events:
        if isinstance(event, yaml.DocumentStartEvent):
            if root is not None:
                _refuse_second(builder.file, event, subject)
            root = builder.node(next(builder.events), (), 1)
            if root.entries is None and root.items is None and root.value is None:
                return None
    return root


def _refuse_second(file: str, event: Any, subject: Subject) -> NoReturn:
    line = event.start_mark.line + 1
    refuse_file(file, f"a second document starts here (---), expected one {subject.one} per file", line)


_INDENTATION = "the indentation doesn't fit the lines above, or a quote or bracket isn't closed"
_SYNTAX = {
    "could not find expected ':'": "a line without `key: value`",
    "mapping values are not allowed": "a `:` too many: the line above lacks its own, or text needs quotes",
    "did not find expected key": _INDENTATION,
    "expected <block end>": _INDENTATION,
    "did not find expected '-' indicator": "a list item is indented differently from the ones above",
    "did not find expected ',' or ']'": "a list [ … ] isn't closed",
    "expected ',' or ']'": "a list [ … ] isn't closed",
    "did not find expected ',' or '}'": "a group { … } isn't closed",
    "expected ',' or '}'": "a group { … } isn't closed",
    "unexpected end of stream": "a quote isn't closed",
    "did not find expected node content": "a value is missing",
    "found unknown escape character": "an unknown \\ escape in double quotes; single quotes take \\ as it is",
    "found undefined tag handle": "an unknown YAML tag (!…); put text that starts with ! into quotes",
    "did not find expected alphabetic or numeric character": "text that starts with * or & belongs in quotes",
    "found incompatible YAML document": "a %YAML line that asks for another version: remove it",
    "mapping keys are not allowed": "a `? ` key where none may be",
    "block sequence entries are not allowed": "a `- ` where no list may start",
}


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    """The parser's finding in plain words; never a snippet of the file, which may hold a secret."""
    said = str(error.problem or error.context or "")
    mark = error.problem_mark
    if "cannot start any token" in said and mark is not None:
        lines = text.splitlines()
        line = lines[mark.line] if mark.line < len(lines) else ""
        character = line[mark.column : mark.column + 1]
        if character == "\t" or "\t" in line[: mark.column + 1]:
            return "a tab, expected spaces for indentation"
        return f"text that starts with {character} belongs in quotes"
    opened = error.context_mark
    since = f" (it starts on line {opened.line + 1})" if opened is not None else ""
    for words, plain in _SYNTAX.items():
        if words in said:
            return plain + since * plain.endswith("isn't closed")
    return said or "unreadable"


def from_plain(data: Mapping[str, object], file: str) -> Document:
    """The same tree for settings that come from Python; every line is 0."""
    builder = _Builder(file, iter(()))
    return builder.result(_from_plain(builder, data, (), 1))


def _from_plain(builder: _Builder, data: object, path: Path, depth: int) -> Node:
    if depth > DEEPEST:
        refuse_file(builder.file, f"is nested deeper than {DEEPEST} levels")
    builder.count(1, 0)
    if isinstance(data, Mapping):
        entries: dict[str, tuple[int, Node]] = {}
        for key, value in data.items():
            if isinstance(key, str):
                entries[str(key)] = (0, _from_plain(builder, value, (*path, str(key)), depth + 1))
            else:
                builder.bad_key(Node(0, key), 0, path)
        return Node(0, entries=entries)
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return Node(0, items=[_from_plain(builder, v, (*path, i), depth + 1) for i, v in enumerate(data)])
    return Node(0, data)
