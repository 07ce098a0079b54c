from __future__ import annotations

import json

import pytest

from constructs_lib.cli.main import main
from constructs_lib.spec.json_schema import json_schema


def test_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
