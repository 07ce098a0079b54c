"""Secrets as clustermesos-apply fetches them: in files of their own, when they rotate, and never printed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.nodes.node import CONF, OWNER, STAGE, UNIT, Node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_secrets_come_from_the_source_in_a_file_of_their_own_and_are_never_printed(node: Node) -> None:
    node.secret("password", "hunter2-value\n")
    node.secret("host_key", "-----BEGIN KEY-----\nabc\n-----END KEY-----")
    secrets = [
        {
            "name": "password",
            "path": "/etc/web/password",
            "owner": "root",
            "newline": False,
            "restarts": UNIT,
        },
        {"name": "host_key", "path": "/etc/ssh/key", "owner": "root", "newline": True},
    ]
    secrets = [secret | {"owner": OWNER} for secret in secrets]
    node.send({CONF: "one\n"}, secrets=secrets, stages=[STAGE])

    done = node.apply("first-boot")

    assert done.returncode == 0, done.stderr
    assert node.at("/etc/web/password").read_bytes() == b"hunter2-value"
    assert node.at("/etc/ssh/key").read_bytes().endswith(b"-----END KEY-----\n")
    assert node.at("/etc/web/password").stat().st_mode & 0o7777 == 0o600
    assert "hunter2" not in done.stdout + done.stderr
    assert f"restart {UNIT}" in node.calls()
    kept = [path for path in node.state.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert kept == []


def test_a_rotated_secret_is_fetched_by_apply_but_a_reboot_needs_no_source(node: Node) -> None:
    secret = {"name": "password", "path": "/etc/web/password", "owner": OWNER, "newline": False}
    node.secret("password", "old")
    node.send({CONF: "one\n"}, secrets=[secret])
    node.apply("first-boot")

    node.secret("password", "new")
    assert node.apply("apply").returncode == 0
    assert node.at("/etc/web/password").read_text() == "new"

    (node.doubles / "secrets" / "password").unlink()
    assert node.apply("boot").returncode == 0
    assert node.at("/etc/web/password").read_text() == "new"


def test_a_value_that_was_brought_by_hand_stands_until_the_source_has_another_than_it_had_then(
    node: Node,
) -> None:
    secret = {"name": "password", "path": "/etc/web/password", "owner": OWNER, "newline": False}
    node.secret("password", "old")
    node.send({CONF: "one\n"}, secrets=[secret])
    node.apply("first-boot")
    given = {"password": {"value": "by-hand", "replaces": hashlib.sha256(b"old").hexdigest()}}
    (node.state / "given").write_text(json.dumps(given))

    for command in ("apply", "boot"):
        assert node.apply(command).returncode == 0
        assert node.at("/etc/web/password").read_text() == "by-hand"

    node.secret("password", "deployed")
    assert node.apply("apply").returncode == 0
    assert node.at("/etc/web/password").read_text() == "deployed"


def test_a_source_that_gives_no_secret_ends_before_anything_is_written(node: Node) -> None:
    secret = {"name": "password", "path": "/etc/web/password", "owner": OWNER, "newline": False}
    node.send({CONF: "one\n"}, secrets=[secret])

    done = node.apply("first-boot")

    assert done.returncode == 1
    assert done.stderr == (
        f"clustermesos-apply: error: secret password: {node.doubles}/get-secret ended with 1 "
        "and gave no value; gave up after 1 s\n"
    )
    assert not node.at(CONF).exists()
