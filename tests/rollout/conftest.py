"""Three nodes behind real sshds, which have booted the same generation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.rollout.nodes import CONF, UNIT, Behind, behind_sshd, generation

CHECKS = [UNIT]
ONE = generation({CONF: "one\n"}, checks=CHECKS)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[dict[str, Behind]]:
    with behind_sshd(need("sshd"), tmp_path, "master-1", "master-2", "master-3") as found:
        for one in found.values():
            one.first_boot(ONE)
        yield found


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Behind]:
    """One that has booted."""
    with behind_sshd(need("sshd"), tmp_path, "master-1") as found:
        found["master-1"].first_boot(ONE)
        yield found["master-1"]
