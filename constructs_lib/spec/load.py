"""cluster.yaml → ClusterSpec, with every problem of the file at once and its line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from constructs_lib.errors import SpecFileError
from constructs_lib.spec import checks
from constructs_lib.spec.document import Document, compose, from_plain
from constructs_lib.spec.findings import Finding, Path, Settings
from constructs_lib.spec.model import ClusterSpec, SoftwareSpec
from constructs_lib.spec.source import check_characters, decode, read_bytes
from constructs_lib.spec.validate import Kind, problem, validate


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


def with_line(path: FilePath, setting: Path, message: str) -> SpecFileError:
    """What was found out later about a setting of the file that was loaded, with its line."""
    root = compose(decode(read_bytes(path), str(path)), str(path)).root
    return SpecFileError([problem(Finding(setting, message), root, str(path))])


def _validate(document: Document, file: str) -> ClusterSpec:
    spec, problems = validate(document, file, _KIND)
    if problems or spec is None:
        raise SpecFileError(problems)
    return spec


def _check(spec: ClusterSpec, broken: frozenset[Path]) -> list[Finding]:
    return checks.findings(Settings(spec, broken))


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


_STAND_INS: tuple[tuple[Path, object], ...] = (
    (("name",), "x"),
    (("sites",), {}),
    (("sites", "*", "platform"), "aws"),
    (("sites", "*", "network"), "10.0.0.0/16"),
    (("sites", "*", "aws", "region"), "eu-west-3"),
    (("sites", "*", "openstack", "external_network"), "x"),
    (("sites", "*", "openstack", "upload", "sha256"), "0" * 64),
    (("sites", "*", "libvirt", "hosts"), ["qemu:///system"]),
    (("sites", "*", "libvirt", "image"), {"path": "/x", "sha256": "0" * 64}),
    (("sites", "*", "libvirt", "image", "sha256"), "0" * 64),
    (("sites", "*", "libvirt", "bridge", "name"), "br0"),
)
"""What a cluster or a site can't be without → any value of it; `*` is a site's name."""

_KIND = Kind(ClusterSpec, _check, _STAND_INS, prepare=_move_components)
