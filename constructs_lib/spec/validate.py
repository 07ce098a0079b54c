"""A file's document → its model, with every problem at once: what all kinds of files share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from constructs_lib.errors import Problem
from constructs_lib.spec import translate
from constructs_lib.spec.document import Document, Node
from constructs_lib.spec.findings import Finding, Path
from constructs_lib.spec.wording import show_path

_MOST_ROUNDS = 20
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Kind(Generic[Model]):
    """A kind of file, by its model."""

    model: type[Model]
    checks: Callable[[Model, frozenset[Path]], list[Finding]]
    """What doesn't fit together; paths in the second argument were taken out, since they were wrong."""
    stand_ins: tuple[tuple[Path, object], ...] = ()
    """What the model can't be without → any value of it; `*` is any name."""
    examples: Mapping[str, str] = field(default_factory=lambda: translate.EXAMPLES)
    """What to write for a required setting that is missing."""
    prepare: Callable[[dict[str, Any]], list[Finding]] = lambda data: []
    """Brings the file's settings into the model's form, in place."""


def validate(document: Document, file: str, kind: Kind[Model]) -> tuple[Model | None, tuple[Problem, ...]]:
    """The model, None where it can't be had, and all problems, ordered by line."""
    data: Any = document.root.plain()
    misplaced = kind.prepare(data)
    model = None
    try:
        model = kind.model.model_validate(data, context={"checks_follow": True})
        found = kind.checks(model, document.broken)
    except ValidationError as error:
        found = _all_findings(data, error, document.broken, kind)
    problems = {*document.problems, *(problem(each, document.root, file) for each in [*misplaced, *found])}
    return model, tuple(sorted(problems, key=lambda one: (one.line, one.path, one.message)))


def problem(finding: Finding, root: Node, file: str) -> Problem:
    """The finding with the line where the user has to look for it."""
    path = translate.user_path(finding.path)
    return Problem(file=file, line=root.line_of(path), path=show_path(path), message=finding.message)


def _all_findings(
    data: dict[str, Any], error: ValidationError, left_out: frozenset[Path], kind: Kind[Model]
) -> list[Finding]:
    """pydantic's findings, and what the checks find in the rest once the wrong values are taken out."""
    found: list[Finding] = []
    broken: set[Path] = set(left_out)
    rest: Any = copy.deepcopy(data)
    for _ in range(_MOST_ROUNDS):
        this_round = list(translate.findings(error, kind.model, kind.examples))
        # Later rounds only find what taking values out has caused.
        found = found or [mistake.finding for mistake in this_round]
        for mistake in this_round:
            _take_out(rest, mistake.path, kind.stand_ins)
            broken.add(mistake.meant)
        try:
            model = kind.model.model_validate(rest, context={"checks_follow": True})
        except ValidationError as next_error:
            error = next_error
            continue
        return found + kind.checks(model, frozenset(broken))
    return found


def _take_out(data: Any, path: Path, stand_ins: tuple[tuple[Path, object], ...]) -> None:
    """Removes the value at `path`; a list item takes its list along, a missing setting its group.

    What a model can't be without is replaced instead, so that the checks see the rest of it.
    """
    chain = [data]
    for part in path[:-1]:
        below = chain[-1].get(part)
        if not isinstance(below, dict):
            break
        chain.append(below)
    depth = len(chain) - 1
    stand_in = _stand_in(path, stand_ins)
    if stand_in is not None and depth == len(path) - 1:
        chain[-1][path[-1]] = stand_in
    elif path[depth] in chain[-1]:
        del chain[-1][path[depth]]
    elif depth:
        del chain[-2][path[depth - 1]]


def _stand_in(path: Path, stand_ins: tuple[tuple[Path, object], ...]) -> object:
    for where, value in stand_ins:
        same = (part in ("*", given) for part, given in zip(where, path, strict=False))
        if len(where) == len(path) and all(same):
            return copy.copy(value)
    return None
