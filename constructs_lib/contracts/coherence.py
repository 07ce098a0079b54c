"""What doesn't fit together inside one contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from constructs_lib.contracts.coherence_dev import CHECKS as DEV
from constructs_lib.contracts.coherence_ops import CHECKS as OPS
from constructs_lib.contracts.findings import Settings
from constructs_lib.contracts.model import AppContract
from constructs_lib.spec.findings import Finding, Path

Check = Callable[[Settings], Iterator[Finding]]


def findings(contract: AppContract, broken: frozenset[Path]) -> list[Finding]:
    """All that is wrong between settings; what reads a value at a `broken` path stays silent."""
    settings = Settings(contract, broken)
    checks: tuple[Check, ...] = (*DEV, *OPS)
    return [finding for check in checks for finding in check(settings)]
