from __future__ import annotations

import getpass
import os

import pytest

from constructs_lib.access.person import person


def nobody() -> str:
    raise KeyError("getpwuid(): uid not found: 12345")


def test_who_has_no_name_is_called_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", nobody)

    assert person() == str(os.getuid())
