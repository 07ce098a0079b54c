"""What a simulated cluster begins with, as a YAML file: faults, lives of tasks, what tasks use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from constructs_lib.simulator.cluster.faults import Fault, read_fault
from constructs_lib.simulator.cluster.profiles import Profile, read_profile
from constructs_lib.simulator.cluster.usage import Use, read_use

if TYPE_CHECKING:
    from constructs_lib.simulator.cluster.cluster import SimulatedCluster

_KEYS = ("faults", "profiles", "usage")


@dataclass(frozen=True, kw_only=True)
class Begun:
    """The file's content; profiles and usage are by pattern."""

    faults: tuple[Fault, ...]
    profiles: Mapping[str, Profile]
    usage: Mapping[str, Use]

    def begin(self, cluster: SimulatedCluster) -> None:
        """Say it to a cluster; KeyError where there is no agent or program that a fault names."""
        for pattern, profile in self.profiles.items():
            cluster.profile(pattern, profile)
        for pattern, use in self.usage.items():
            cluster.use(pattern, use)
        for fault in self.faults:
            cluster.inject(fault)


def read_file(path: Path) -> Begun:
    """The `faults:` (a list), `profiles:` and `usage:` (pattern → fields) of a YAML file.

    Raises:
        ValueError: with the file's name and what is wrong in it; OSError: it can't be read.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        if not isinstance(found, dict) or not set(found) <= set(_KEYS):
            raise ValueError(f"expected the keys {', '.join(_KEYS)}, and no others")
        faults = found.get("faults") or []
        if not isinstance(faults, list) or not all(isinstance(one, dict) for one in faults):
            raise ValueError("faults: expected a list of mappings")
        by_pattern = {name: _mappings(name, found.get(name) or {}) for name in _KEYS[1:]}
        return Begun(
            faults=tuple(read_fault(one) for one in faults),
            profiles={name: read_profile(one) for name, one in by_pattern["profiles"].items()},
            usage={name: read_use(one) for name, one in by_pattern["usage"].items()},
        )
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from None


def _mappings(name: str, found: object) -> Mapping[str, Mapping[str, object]]:
    if not isinstance(found, dict) or not all(isinstance(one, dict) for one in found.values()):
        raise ValueError(f"{name}: expected a mapping of mappings")
    return {str(pattern): one for pattern, one in found.items()}
