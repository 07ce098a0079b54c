"""Health checks as the node's own program makes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from constructs_lib.components.chronos import CHRONOS
from constructs_lib.nodes.health import checks_of
from tests.components.test_base import SCRIPTS
from tests.nodes.node import Node


def outcomes(*checks: object) -> list[dict[str, Any]]:
    code = (
        "import json, sys, clustermesos_health as h; print(json.dumps([*h.outcomes(json.load(sys.stdin))]))"
    )
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
        (["sh", "-c", "echo first >&2; echo no daemon >&2; exit 1"], "no daemon"),
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


class TokenAsker(BaseHTTPRequestHandler):
    """Answers 200 to those who have the token."""

    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == "Bearer the-token"
        self.send_response(200 if known else 403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not to the test's output."""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "node")


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), TokenAsker) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/self"
        server.shutdown()


def asked(node: Node, url: str, token: Path) -> dict[str, Any]:
    """What the program as it travels, with its short names, finds."""
    check = {"kind": "http_ok", "url": url, "bearer": str(token)}
    node.send({}, stages=[{"component": "thing", "units": [], "seconds": 1, "checks": [check]}])
    node.apply("first-boot")
    found: dict[str, Any]
    [found] = json.loads(node.apply("health").stdout)
    return found


def test_a_request_bears_the_token_of_the_named_file(url: str, node: Node, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("the-token\n")

    found = asked(node, url, token)

    assert found["healthy"], found["wrong"]


def test_a_refused_token_is_named_by_its_file_and_not_told(url: str, node: Node, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("another-token")

    found = asked(node, url, token)

    assert found["wrong"] == f"{url} with {token}: HTTP Error 403: Forbidden"


def test_a_token_that_is_not_there_is_unhealthy_and_named(url: str, node: Node, tmp_path: Path) -> None:
    found = asked(node, url, tmp_path / "none")

    assert not found["healthy"]
    assert str(tmp_path / "none") in found["wrong"]


class Garbled(BaseHTTPRequestHandler):
    """Speaks no HTTP."""

    def handle(self) -> None:
        self.wfile.write(b"220 mail.example.org ESMTP\r\n")


@pytest.mark.slow
def test_an_answer_that_is_no_http_is_unhealthy_and_named(node: Node, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("the-token")
    with HTTPServer(("127.0.0.1", 0), Garbled) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/self"
        found = asked(node, url, token)
        server.shutdown()

    assert found["wrong"] == f"{url} with {token}: BadStatusLine"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"the\n-token", "ValueError"),
        (b"\xff-token", "UnicodeDecodeError"),
        ("tökén€".encode(), "UnicodeEncodeError"),
    ],
)
def test_a_token_that_no_request_can_bear_is_unhealthy_and_not_told(
    url: str, node: Node, tmp_path: Path, content: bytes, wrong: str
) -> None:
    token = tmp_path / "token"
    token.write_bytes(content)

    found = asked(node, url, token)

    assert found["wrong"] == f"{url} with {token}: {wrong}"
