"""Health checks as the node's own program makes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from constructs_lib.components.chronos import CHRONOS
from constructs_lib.nodes.health import checks_of
from tests.components.test_base import SCRIPTS


def outcomes(*checks: object) -> list[dict[str, Any]]:
    code = "import json, sys, clustermesos_health as h; print(json.dumps(h.outcomes(json.load(sys.stdin))))"
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        input=json.dumps({"component": "thing", "checks": checks}),
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(SCRIPTS / "program"), "PATH": os.environ["PATH"]},
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_components_own_command_is_one_of_its_checks() -> None:
    assert checks_of(CHRONOS)[-1] == {
        "kind": "succeeds",
        "command": ["/usr/local/libexec/chronos-watchdog", "--check"],
    }


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        (["true"], ""),
        (["sh", "-c", "echo nothing to say"], ""),
        (["sh", "-c", "echo chronos does not answer; exit 1"], "chronos does not answer"),
        (["sh", "-c", "exit 3"], "exit code 3"),
    ],
)
def test_it_is_healthy_when_it_ends_with_0_and_else_says_what_is_wrong(
    command: list[str], wrong: str
) -> None:
    [found] = outcomes({"kind": "succeeds", "command": command})

    assert (found["healthy"], found["wrong"]) == (wrong == "", wrong)


def test_a_command_that_is_not_there_is_unhealthy_and_named() -> None:
    [found] = outcomes({"kind": "succeeds", "command": ["/no/such/thing", "--check"]})

    assert not found["healthy"]
    assert "/no/such/thing" in found["wrong"]
