"""The real checkov for the tests of this folder."""

from __future__ import annotations

import os

import pytest

from constructs_lib.scan.checkov import PROGRAM_VARIABLE


@pytest.fixture
def real_checkov(request: pytest.FixtureRequest) -> dict[str, str]:
    """An environment with the real checkov: what CLUSTERMESOS_CHECKOV names, else the one in .tools/."""
    if PROGRAM_VARIABLE in os.environ:
        return dict(os.environ)
    return {**os.environ, PROGRAM_VARIABLE: str(request.getfixturevalue("checkov"))}
