"""What a check between settings sees and says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from constructs_lib.spec.model import ClusterSpec

Path = tuple[str | int, ...]
"""Keys and list indexes from the file's top."""


@dataclass(frozen=True)
class Finding:
    """Something wrong at `path`; `message` is the whole text after it."""

    path: Path
    message: str


def intact(broken: frozenset[Path], path: Path) -> bool:
    """Whether nothing at, above or below `path` is among `broken`."""
    return not any(bad[: len(path)] == path or path[: len(bad)] == bad for bad in broken)


@dataclass(frozen=True)
class Settings:
    """What the checks read: the spec, and the paths of values that were taken out because they were wrong."""

    cluster: ClusterSpec
    broken: frozenset[Path] = frozenset()

    def intact(self, *path: str | int) -> bool:
        """Whether nothing at, above or below `path` was taken out."""
        return intact(self.broken, path)


Check = Callable[[Settings], Iterator[Finding]]
