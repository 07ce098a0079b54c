"""cluster.yaml → ClusterSpec, with every problem of the file at once and its line."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from constructs_lib.errors import Problem, SpecFileError
from constructs_lib.spec import checks, translate
from constructs_lib.spec.document import Document, Node, compose, from_plain
from constructs_lib.spec.findings import Finding, Path, Settings
from constructs_lib.spec.model import ClusterSpec, SoftwareSpec
from constructs_lib.spec.source import check_characters, decode, read_bytes
from constructs_lib.spec.wording import show_path

_MOST_ROUNDS = 20


def load(path: FilePath) -> ClusterSpec:
    """The spec in the file at `path`; SpecFileError carries every problem, ordered by line."""
    return parse(read_bytes(path), str(path))


def parse(text: str | bytes, file_name: str = "cluster.yaml") -> ClusterSpec:
    """The spec in the text of a file; `file_name` is what problems call it."""
    if isinstance(text, bytes):
        text = decode(text, file_name)
    else:
        text = text.removeprefix("\ufeff")
        check_characters(text, file_name)
    return _validate(compose(text, file_name), file_name)


def from_dict(settings: Mapping[str, object], file_name: str = "settings") -> ClusterSpec:
    """The spec in settings that are nested as in the file; problems have a path, and 0 for their line."""
    return _validate(from_plain(settings, file_name), file_name)


def _validate(document: Document, file: str) -> ClusterSpec:
    data: Any = document.root.plain()
    misplaced = _move_components(data)
    try:
        spec = ClusterSpec.model_validate(data, context={"checks_follow": True})
        found = checks.findings(Settings(spec, document.broken))
    except ValidationError as error:
        found = _all_findings(data, error, document.broken)
        spec = None
    problems = {*document.problems, *(_problem(each, document.root, file) for each in [*misplaced, *found])}
    if problems or spec is None:
        raise SpecFileError(
            sorted(problems, key=lambda problem: (problem.line, problem.path, problem.message))
        )
    return spec


def _problem(finding: Finding, root: Node, file: str) -> Problem:
    path = translate.user_path(finding.path)
    return Problem(file=file, line=root.line_of(path), path=show_path(path), message=finding.message)


def _move_components(data: dict[str, Any]) -> list[Finding]:
    """In the file, components stand beside the global settings of `software`; the model has them apart."""
    software = data.get("software")
    if not isinstance(software, dict):
        return []
    misplaced = []
    if "components" in software:
        del software["components"]
        misplaced.append(
            Finding(
                ("software", "components"), "unknown setting, expected components directly under software"
            )
        )
    own = SoftwareSpec.model_fields.keys()
    components = {name: software.pop(name) for name in list(software) if name not in own}
    if components:
        software["components"] = components
    return misplaced


def _all_findings(data: dict[str, Any], error: ValidationError, left_out: frozenset[Path]) -> list[Finding]:
    """pydantic's findings, and what the checks find in the rest once the wrong values are taken out."""
    found: list[Finding] = []
    broken: set[Path] = set(left_out)
    rest: Any = copy.deepcopy(data)
    for _ in range(_MOST_ROUNDS):
        this_round = list(translate.findings(error, ClusterSpec))
        # Later rounds only find what taking values out has caused.
        found = found or [mistake.finding for mistake in this_round]
        for mistake in this_round:
            _take_out(rest, mistake.path)
            broken.add(mistake.meant)
        try:
            spec = ClusterSpec.model_validate(rest, context={"checks_follow": True})
        except ValidationError as next_error:
            error = next_error
            continue
        return found + checks.findings(Settings(spec, frozenset(broken)))
    return found


def _take_out(data: Any, path: Path) -> None:
    """Removes the value at `path`; a list item takes its list along, a missing setting its group.

    What a cluster or a site can't be without is replaced instead, so that the checks see the rest of it.
    """
    chain = [data]
    for part in path[:-1]:
        below = chain[-1].get(part)
        if not isinstance(below, dict):
            break
        chain.append(below)
    depth = len(chain) - 1
    stand_in = _stand_in(path)
    if stand_in is not None and depth == len(path) - 1:
        chain[-1][path[-1]] = stand_in
    elif path[depth] in chain[-1]:
        del chain[-1][path[depth]]
    elif depth:
        del chain[-2][path[depth - 1]]


_STAND_INS: tuple[tuple[Path, object], ...] = (
    (("name",), "x"),
    (("sites",), {}),
    (("sites", "*", "platform"), "aws"),
    (("sites", "*", "network"), "10.0.0.0/16"),
    (("sites", "*", "aws", "region"), "eu-west-3"),
    (("sites", "*", "openstack", "external_network"), "x"),
    (("sites", "*", "openstack", "image"), "x"),
    (("sites", "*", "libvirt", "hosts"), ["qemu:///system"]),
    (("sites", "*", "libvirt", "image"), {"path": "/x", "sha256": "0" * 64}),
    (("sites", "*", "libvirt", "image", "sha256"), "0" * 64),
    (("sites", "*", "libvirt", "bridge", "name"), "br0"),
)
"""What a cluster or a site can't be without → any value of it; `*` is a site's name."""


def _stand_in(path: Path) -> object:
    for where, value in _STAND_INS:
        same = (part in ("*", given) for part, given in zip(where, path, strict=False))
        if len(where) == len(path) and all(same):
            return copy.copy(value)
    return None
