"""overrides.yaml: what the lab's machines can't reach or offer, in one place, printed with every result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from constructs_lib.components import COMPONENTS
from constructs_lib.errors import LabError
from constructs_lib.spec.model import ClusterSpec

OVERRIDES_FILE = Path(__file__).with_name("overrides.yaml")
_KEYS = {"software", "unset", "programs", "without", "preflight_warnings"}
_IN_FILE, _IN_MODEL = "software.*.", "software.components.*."
"""In cluster.yaml components stand beside the global settings of `software:`."""


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """How every cluster.yaml is bent for the lab."""

    software: Mapping[str, Mapping[str, str]]
    """Component → settings, as in `software:` of cluster.yaml."""
    programs: Mapping[str, str]
    """A program of this computer → where a machine finds it."""
    without: tuple[str, ...]
    """Components that no machine gets."""
    preflight_warnings: tuple[str, ...]
    """Findings of the preflight that only warn."""
    unset: Mapping[str, str] = field(default_factory=dict)
    """A setting of cluster.yaml that is left out, `*` for any name in its path → what holds instead."""

    def apply(self, spec: ClusterSpec) -> ClusterSpec:
        """`spec` with the lab's software, without what leads out of a lab; all else stays the user's."""
        settings = self._bent(spec)[0]
        components = settings.setdefault("software", {}).setdefault("components", {})
        for name, override in self.software.items():
            components[name] = {**components.get(name, {}), **override}
        settings.setdefault("nodes", {})["preflight_warnings"] = self.preflight_warnings
        return ClusterSpec.model_validate(settings)

    def left_out(self, spec: ClusterSpec) -> list[str]:
        """One line for every setting of this cluster.yaml that does not hold in the lab."""
        return self._bent(spec)[1]

    def _bent(self, spec: ClusterSpec) -> tuple[dict[str, Any], list[str]]:
        # What is not said stays unsaid: `masters` makes a site the home site.
        settings, said = spec.model_dump(exclude_unset=True), []
        for pattern, instead in self.unset.items():
            parts = pattern.replace(_IN_FILE, _IN_MODEL).split(".")
            for path, value in _taken(settings, parts):
                if value:
                    shown = ".".join(path).replace("software.components.", "software.")
                    said.append(f"{shown}: left out, {instead}")
        return settings, said

    def lines(self) -> list[str]:
        """One line for everything that is not as it would be on a cloud."""
        software = [
            f"{name}: {', '.join(f'{key} {value}' for key, value in settings.items())}"
            for name, settings in self.software.items()
        ]
        programs = [f"{name}: this computer's, at {path}" for name, path in self.programs.items()]
        left_out = [f"{name}: left out" for name in self.without]
        return [
            *software,
            *programs,
            *left_out,
            *(f"preflight: {name} only warns" for name in self.preflight_warnings),
        ]


def _taken(settings: dict[str, Any], parts: Sequence[str]) -> Iterator[tuple[list[str], object]]:
    """Take what is at the path `parts` out of `settings`: each whole path and the value that it had."""
    key, *rest = parts
    for name in list(settings) if key == "*" else [key]:
        if name in settings and not rest:
            yield [str(name)], settings.pop(name)
        elif isinstance(inner := settings.get(name), dict):
            yield from (([str(name), *path], value) for path, value in _taken(inner, rest))


def read_overrides(path: Path = OVERRIDES_FILE) -> Overrides:
    """The overrides in the file at `path`; LabError where it is not understood."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise LabError(f"{path}: can't be read: {error}") from None
    if not isinstance(data, dict) or set(data) - _KEYS:
        raise LabError(f"{path}: got {sorted(data)}, expected only {', '.join(sorted(_KEYS))}")
    unset = data.get("unset") or {}
    if not isinstance(unset, dict):
        raise LabError(f"{path}: unset: got {unset!r}, expected settings, each with what holds instead")
    known = {component.name for component in COMPONENTS}
    software, without = data.get("software") or {}, tuple(data.get("without") or ())
    unknown = sorted({*software, *without} - known)
    if unknown:
        raise LabError(f"{path}: unknown component {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    return Overrides(
        software=software,
        programs=data.get("programs") or {},
        without=without,
        preflight_warnings=tuple(data.get("preflight_warnings") or ()),
        unset=unset,
    )
