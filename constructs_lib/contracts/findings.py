"""What a check inside one contract sees."""

from __future__ import annotations

from dataclasses import dataclass

from constructs_lib.contracts.dev import DevSpec
from constructs_lib.contracts.model import AppContract
from constructs_lib.contracts.ops import OpsSpec
from constructs_lib.spec.findings import Path, intact


@dataclass(frozen=True)
class Settings:
    """The contract, and the paths of values that were taken out because they were wrong."""

    contract: AppContract
    broken: frozenset[Path] = frozenset()

    @property
    def dev(self) -> DevSpec:
        """The developers' half."""
        return self.contract.dev

    @property
    def ops(self) -> OpsSpec:
        """The operators' half."""
        return self.contract.ops

    def intact(self, *paths: str) -> bool:
        """Whether nothing at, above or below these paths, written `dev.ports`, was taken out."""
        return all(intact(self.broken, tuple(path.split("."))) for path in paths)
