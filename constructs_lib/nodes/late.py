"""Late values: markers in node files, and the one function that turns a text into a Terraform template.

A marker is `@@late:kind:subject@@` (see `LateValue.marker`); nothing else in a node file may look like one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from constructs_lib.errors import RenderError
from constructs_lib.plan.model import LateValue

MARKER = re.compile(r"@@late:([a-z_]+:[^@\s]+)@@")


def resolve_for_terraform(text: str, expressions: Mapping[str, str]) -> str:
    """`text` as a Terraform string template: its own `${` and `%{` escaped once, then markers →
    `${expression}`.

    `expressions` maps a late value's name to an expression: {"data_volume_id:master-1":
    "aws_ebs_volume.x.id"}. RenderError for a marker without an expression and for an expression that no
    marker asks for.
    """
    parts = MARKER.split(text)
    asked = set(parts[1::2])
    _refuse(asked - set(expressions), "stands in the text, but has no expression", expressions)
    _refuse(set(expressions) - asked, "has an expression, but does not stand in the text", asked)
    literals = parts[0::2]
    escaped = [_escape(part, before_marker=index < len(literals) - 1) for index, part in enumerate(literals)]
    resolved = [f"${{{expressions[name]}}}" for name in parts[1::2]]
    return "".join(piece for pair in zip(escaped, [*resolved, ""], strict=True) for piece in pair)


def with_samples(text: str, late_values: Iterable[LateValue]) -> str:
    """`text` with each marker replaced by a sample of the value's maximum length, to be measured."""
    samples = {late.name: _sample(late) for late in late_values}
    asked = set(MARKER.findall(text))
    _refuse(asked - set(samples), "stands in the text, but the plan declares no such late value", samples)
    return MARKER.sub(lambda match: samples[match.group(1)], text)


def _escape(literal: str, *, before_marker: bool) -> str:
    # The engine would take a text that looks like one of its own tokens for one. Cut inside the word, since a
    # dollar before it would make an escape of the expression.
    escaped = re.sub(r"[$%](?=\{)", r"\g<0>\g<0>", literal).replace("TfToken[", 'TfToke${"n"}[')
    if before_marker:
        # A dollar directly before the marker's own "${" would make an escape of it.
        escaped = re.sub(r"(\$+)$", lambda run: f'${{"{run.group(1)}"}}', escaped)
    return escaped


def _sample(late: LateValue) -> str:
    """Digits that gzip can't shorten much, the same in every run, different for every value."""
    digest = hashlib.sha256(late.name.encode()).hexdigest()
    return (digest * (late.max_length // len(digest) + 1))[: late.max_length]


def _refuse(names: set[str], what: str, known: Iterable[str]) -> None:
    if names:
        raise RenderError(
            f"late value {', '.join(sorted(names))} {what}; known: {', '.join(sorted(known)) or 'none'}"
        )
