from __future__ import annotations

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
        ({"args": ["a"]}, {"args": ["a", "b"]}, ["args: ['a'] → ['a', 'b']"]),
        ({"cmd": "x" * 100}, {"cmd": "y"}, ["cmd: " + "x" * 60 + "… → y"]),
        ({"id": "/a", "instances": 5, "labels": {"v": "1"}}, {"id": "/b", "instances": 1, "labels": {}}, []),
    ],
)  # fmt: skip
def test_each_value_that_differs_is_one_line(
    there: dict[str, Any], wanted: dict[str, Any], lines: list[str]
) -> None:
    assert list(differences(there, wanted)) == lines


def test_no_value_of_an_environment_is_shown() -> None:
    assert "hush" not in str(differences({"env": {"A": "hush"}}, {"env": {"A": "hush-hush"}}))
