from __future__ import annotations

import json
from typing import Any

import pytest

from constructs_lib.hooks.body_diff import differences


@pytest.mark.parametrize(
    ("there", "wanted", "lines"),
    [
        ({"cpus": 0.5, "mem": 512.0}, {"cpus": 1, "mem": 512}, ["cpus: 0.5 → 1"]),
        ({"constraints": []}, {}, []),
        ({}, {"disk": 0, "constraints": []}, []),
        ({}, {"gpus": 1}, ["gpus: unset → 1"]),
        (
            {"container": {"docker": {"image": "shop:1", "privileged": False}}},
            {"container": {"docker": {"image": "shop:2"}}},
            ["container.docker.image: shop:1 → shop:2"],
        ),
        (
            {"env": {"MODE": "a", "OLD": "x", "SAME": "s"}},
            {"env": {"MODE": "b", "NEW": "y", "SAME": "s"}},
            ["env.MODE: changed", "env.NEW: added", "env.OLD: removed"],
        ),
        (
            {"constraints": [["pool", "LIKE", "a"]]},
            {"constraints": [["pool", "LIKE", "b"]]},
            ["constraints[0][2]: a → b"],
        ),
        ({"args": ["a"]}, {"args": ["a", "b"]}, ["args: changed"]),
        ({"args": ["a", "b"]}, {"args": ["a", "c"]}, ["args: changed"]),
        ({"args": ["a"]}, {"args": ["a"]}, []),
        ({"cmd": "x"}, {"cmd": "y"}, ["cmd: changed"]),
        ({}, {"cmd": "y"}, ["cmd: added"]),
        (
            {"healthChecks": [{"command": {"value": "x"}, "intervalSeconds": 10}]},
            {"healthChecks": [{"command": {"value": "y"}, "intervalSeconds": 20}]},
            ["healthChecks[0].command: changed", "healthChecks[0].intervalSeconds: 10 → 20"],
        ),
        ({"role": "x" * 100}, {"role": "y"}, ["role: " + "x" * 60 + "… → y"]),
        ({"id": "/a", "instances": 5, "labels": {"v": "1"}}, {"id": "/b", "instances": 1, "labels": {}}, []),
    ],
)  # fmt: skip
def test_each_value_that_differs_is_one_line(
    there: dict[str, Any], wanted: dict[str, Any], lines: list[str]
) -> None:
    assert list(differences(there, wanted)) == lines


@pytest.mark.parametrize(
    "body",
    [
        {"env": {"A": "hush"}},
        {"cmd": "run hush"},
        {"args": ["run", "hush"]},
        {"healthChecks": [{"command": {"value": "hush"}}]},
    ],
)
def test_no_value_of_an_environment_and_no_command_is_shown(body: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(body).replace("hush", "hush-hush"))
    shown = [*differences(body, changed), *differences({}, {"env": {}, **body})]

    assert shown and "hush" not in str(shown)
