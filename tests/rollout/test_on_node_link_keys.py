"""What a gateway does with other link keys, in a folder of its own; doubles of systemctl, wg and the source.

tests/sites/test_rotation.py has real WireGuard between two gateways.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import pytest

from constructs_lib.rollout.remote import asking
from tests.nodes.node import Node

OWN, OTHERS = "/etc/wireguard/keys/own", "/etc/wireguard/keys/dc1.pub"
NAMES = {"key_eu": OWN, "public_dc1": OTHERS}
WG_DOUBLE = """#!/bin/sh
# Double of wg: the other site's key of the gateway's file, heard when the test's file says.
echo "$(cat {root}/etc/wireguard/keys/dc1.pub) $(cat {folder}/heard 2>/dev/null || echo 0)"
"""
FAR = "4102444800"
"""A moment that is after every other one of this test."""


class Change:
    """One conversation with the node's program."""

    def __init__(self, node: Node, *, seconds: float) -> None:
        keys = {
            "key_eu": {"site": None, "value": "new-own"},
            "public_dc1": {"site": "dc1", "value": "new-dc1"},
        }
        request: dict[str, Any] = {
            "id": os.urandom(4).hex(),
            "root": str(node.root),
            "seconds": seconds,
            "keys": keys,
            "peers": ["dc1"],
            "unit": "wg-quick@sites.service",
            "interface": "sites",
            "calls": ["true"],
        }
        (_, _, _, _, loader, *more), stdin = asking("link-keys", request)
        self.process = subprocess.Popen(
            ["sh", "-c", f'exec "$0" -B -c {loader} "$@"', sys.executable, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=node.environment(),
        )
        self.tell(stdin)

    @property
    def out(self) -> IO[bytes]:
        return cast("IO[bytes]", self.process.stdout)

    def tell(self, text: bytes) -> None:
        pipe = cast("IO[bytes]", self.process.stdin)
        pipe.write(text)
        pipe.flush()

    def says(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out.readline())
        return found

    def is_lost(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(timeout=60)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            cast("IO[bytes]", pipe).close()


@pytest.fixture
def gateway(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    secrets = [
        {"name": name, "path": path, "mode": "600", "newline": name == "key_eu"}
        for name, path in NAMES.items()
    ]
    generation = node.state / "generations/1"
    generation.mkdir(parents=True)
    manifest = {"secret_command": f"{node.doubles}/get-secret", "secrets": secrets}
    (generation / "manifest.json").write_text(json.dumps(manifest))
    (node.state / "wanted").symlink_to("generations/1")
    for name, path in NAMES.items():
        node.at(path).parent.mkdir(parents=True, exist_ok=True)
        node.at(path).write_text(f"old-{name}")
        node.secret(name, f"old-{name}")
    node.double("wg", WG_DOUBLE.format(root=node.root, folder=tmp_path))
    hears(node)
    return node


def hears(node: Node, when: str = FAR) -> None:
    (node.folder / "heard").write_text(when)


def keys(node: Node) -> list[str]:
    return [node.at(path).read_text().strip() for path in (OWN, OTHERS)]


OLD, NEW = ["old-key_eu", "old-public_dc1"], ["new-own", "new-dc1"]


@pytest.fixture
def changes(gateway: Node) -> Iterator[list[Change]]:
    found: list[Change] = []
    yield found
    for change in found:
        change.end()


def begin(gateway: Node, changes: list[Change], *, seconds: float = 120) -> Change:
    changes.append(Change(gateway, seconds=seconds))
    assert changes[-1].says() == {"ready": True}
    return changes[-1]


def state(gateway: Node) -> str:
    return str(json.loads((gateway.state / "link-keys.json").read_text())["state"])


def settled(gateway: Node) -> None:
    """Waits for the process that decides by itself: it has the lock until then."""
    lock = str(gateway.state / "lock")
    subprocess.run(["flock", lock, "true"], check=True, timeout=120)


def test_keys_are_kept_at_a_word_and_put_before_the_sources(gateway: Node, changes: list[Change]) -> None:
    change = begin(gateway, changes)
    assert keys(gateway) == OLD

    change.tell(b"go\n")
    assert change.says() == {"switched": True}
    assert change.says() == {"heard": True, "silent": []}
    change.tell(b"keep\n")

    assert change.says() == {"answer": {"state": "kept", "silent": [], "why": ""}}
    assert keys(gateway) == NEW
    assert gateway.calls().count("reload-or-restart wg-quick@sites.service") == 1
    given = json.loads((gateway.state / "given").read_text())
    assert {name: entry["value"] for name, entry in given.items()} == dict(zip(NAMES, NEW, strict=True))
    assert (gateway.state / "given").stat().st_mode & 0o777 == 0o600
    assert "old-key_eu" not in (gateway.state / "link-keys.json").read_text()


def test_without_go_nothing_changes(gateway: Node, changes: list[Change]) -> None:
    begin(gateway, changes).is_lost()

    settled(gateway)
    assert keys(gateway) == OLD
    assert not (gateway.state / "given").exists()
    assert gateway.calls() == []


def test_the_former_keys_come_back_at_a_word(gateway: Node, changes: list[Change]) -> None:
    change = begin(gateway, changes)
    change.tell(b"go\n")
    assert change.says() == {"switched": True}

    change.tell(b"back\n")

    last = change.says()
    while "answer" not in last:
        last = change.says()
    assert last["answer"]["state"] == "went back"
    assert keys(gateway) == OLD
    assert json.loads((gateway.state / "given").read_text()) == {}


@pytest.mark.slow
@pytest.mark.parametrize(("links", "expected"), [("work", NEW), ("are missed", OLD)])
def test_a_gateway_whose_operator_is_lost_decides_by_what_it_hears(
    gateway: Node, changes: list[Change], links: str, expected: list[str]
) -> None:
    change = begin(gateway, changes, seconds=-29)
    # Its deadline has passed when it starts, all but a second of the grace.
    if links == "are missed":
        hears(gateway, str(int(time.time()) - 60))
    change.tell(b"go\n")
    change.says()
    change.is_lost()

    settled(gateway)
    assert keys(gateway) == expected
    assert state(gateway) == ("kept" if links == "work" else "went back")


@pytest.mark.slow
def test_a_link_that_did_not_work_before_is_no_reason_to_go_back(
    gateway: Node, changes: list[Change]
) -> None:
    hears(gateway, "0")
    change = begin(gateway, changes, seconds=0)
    change.tell(b"go\n")

    assert change.says() == {"switched": True}
    assert change.says() == {"heard": True, "silent": ["dc1"]}
    change.tell(b"keep\n")
    assert change.says()["answer"]["state"] == "kept"


def test_a_reload_that_fails_brings_the_former_keys_back_at_once(
    gateway: Node, changes: list[Change]
) -> None:
    (gateway.doubles / "fail").write_text("reload-or-restart wg-quick@sites.service\n")
    change = begin(gateway, changes)
    change.tell(b"go\n")

    answer = change.says()["answer"]

    assert answer["state"] == "went back"
    assert answer["why"].startswith("systemctl reload-or-restart wg-quick@sites.service: Job for")
    assert keys(gateway) == OLD


def test_a_gateway_that_has_the_keys_already_reloads_nothing(gateway: Node, changes: list[Change]) -> None:
    for path, value in zip((OWN, OTHERS), NEW, strict=True):
        gateway.at(path).write_text(value + "\n" * (path == OWN))
    hears(gateway, "0")
    change = begin(gateway, changes)
    change.tell(b"go\n")

    assert change.says() == {"switched": True}
    assert change.says() == {"heard": True, "silent": []}
    assert gateway.calls() == []


def test_a_source_without_an_answer_is_refused_before_anything_changes(
    gateway: Node, changes: list[Change]
) -> None:
    (gateway.doubles / "secrets/key_eu").unlink()
    changes.append(Change(gateway, seconds=1))

    assert changes[-1].says() == {"refused": f"{gateway.doubles}/get-secret ended with 1 and gave no key_eu"}
    assert keys(gateway) == OLD


@pytest.mark.slow
def test_a_source_that_never_had_a_key_does_not_stop_a_change_of_it(
    gateway: Node, changes: list[Change]
) -> None:
    (gateway.doubles / "secrets/public_dc1").unlink()
    former = {"public_dc1": {"value": "old-public_dc1", "replaces": ""}}
    (gateway.state / "given").write_text(json.dumps(former))
    change = begin(gateway, changes)

    change.tell(b"go\n")
    assert [change.says(), change.says()] == [{"switched": True}, {"heard": True, "silent": []}]
    change.tell(b"keep\n")

    assert change.says()["answer"]["state"] == "kept"
    given = json.loads((gateway.state / "given").read_text())
    assert given["public_dc1"] == {"value": "new-dc1", "replaces": ""}


def test_keys_that_the_gateway_does_not_read_yet_are_refused(gateway: Node, changes: list[Change]) -> None:
    manifest = gateway.state / "generations/1/manifest.json"
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(found | {"secrets": found["secrets"][:1]}))
    changes.append(Change(gateway, seconds=1))

    assert changes[-1].says() == {
        "refused": "it does not read public_dc1 yet: clustermesos nodes apply gateway first"
    }
