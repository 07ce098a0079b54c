"""A pinned version that does not exist is refused by the node before anything changes there."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.errors import RollError
from constructs_lib.rollout.remote import Outcome
from tests.rollout.conftest import CHECKS
from tests.rollout.nodes import CONF, Behind, generation

ROLLOUT = {"id": "abc", "who": "alice@laptop", "at": "2026-11-26T03:00:00Z"}
REPOSITORY = {"uri": "https://example.org/docker", "key": "gpg", "fingerprint": "A" * 40}
DOUBLE = """#!/bin/sh
# Double of {name}: what is installed or known of a package is in a file of its name; calls are written down.
echo "{name} $* proxy=$http_proxy" >>"$DOUBLES/apt-calls"
for last; do :; done
cat "$DOUBLES/{name}-$last" 2>/dev/null || :
"""
BROKEN = (
    "#!/bin/sh\n# Double of apt-get.\necho 'E: Could not get lock /var/lib/apt/lists/lock' >&2\nexit 100\n"
)


@pytest.fixture
def node(node: Behind) -> Behind:
    for name in ("apt-get", "apt-cache", "apt-mark", "dpkg-query"):
        node.node.double(name, DOUBLE.replace("{name}", name))
    return node


def known(node: Behind, package: str, *versions: str) -> None:
    rows = "".join(f" {package} | {version} | http://example.org noble/stable\n" for version in versions)
    (node.node.doubles / f"apt-cache-{package}").write_text(rows)


def installed(node: Behind, package: str, version: str) -> None:
    (node.node.doubles / f"dpkg-query-{package}").write_text(f"installed {version}")


def send(node: Behind, version: str, **more: Any) -> Outcome:
    package = {"component": "docker", "names": ["docker-ce", "cli"], "version": version} | more
    wanted = generation({CONF: "two\n"}, checks=CHECKS, packages=[package], proxy="http://proxy:3128")
    return node.shell.apply(wanted, node.shell.look(wanted, {}), ROLLOUT, lambda line: None)


def apt_calls(node: Behind) -> list[str]:
    log = node.node.doubles / "apt-calls"
    return log.read_text().splitlines() if log.exists() else []


def is_untouched(node: Behind) -> bool:
    state = node.node.state
    nothing = not (state / "incoming").exists() and not (state / "rollouts.json").exists()
    return nothing and node.conf() == "one\n" and node.node.status()["wanted"] == 1


@pytest.mark.slow
def test_a_version_that_does_not_exist_is_refused_with_those_that_do_and_nothing_changes(
    node: Behind,
) -> None:
    installed(node, "docker-ce", "5:28.5.2-1")
    known(node, "docker-ce", "5:29.1.0-1", "5:29.1.0-1", "5:28.5.2-1", "5:28.50.0-1")

    with pytest.raises(RollError) as refused:
        send(node, "30.1")

    assert str(refused.value) == (
        "docker-ce: the repository has no version 30.1; it has 5:29.1.0-1, 5:28.5.2-1, 5:28.50.0-1. Nothing "
        "was changed on this node: give a version that exists under software, or wait until the repository "
        "has it, then run it again"
    )
    assert is_untouched(node)
    assert apt_calls(node)[1:] == [
        "apt-get -q update proxy=http://proxy:3128",
        "apt-cache madison docker-ce proxy=",
    ]


@pytest.mark.slow
def test_a_package_that_no_repository_has_is_refused_with_what_the_update_said(node: Behind) -> None:
    node.node.double("apt-get", BROKEN)

    with pytest.raises(
        RollError, match=r"it has none of this package at all \(apt-get update failed: E: Could"
    ):
        send(node, "28.5")

    assert is_untouched(node)


@pytest.mark.slow
def test_a_failed_update_is_no_reason_where_the_version_is_known_already(node: Behind) -> None:
    node.node.double("apt-get", BROKEN)
    known(node, "docker-ce", "5:28.5.2-1")

    # clustermesos-apply then tries the real update itself, and says what fails.
    assert send(node, "28.5").code == 1


@pytest.mark.slow
def test_what_is_installed_in_its_line_asks_no_repository(node: Behind) -> None:
    installed(node, "docker-ce", "5:28.5.2-1")
    installed(node, "cli", "5:28.5.2-1")

    assert send(node, "28.5").code == 0

    assert not [call for call in apt_calls(node) if call.startswith(("apt-get", "apt-cache"))]
    assert node.conf() == "two\n"


@pytest.mark.slow
def test_a_repository_that_the_node_does_not_have_yet_is_not_asked(node: Behind) -> None:
    """Its key comes with the generation: clustermesos-apply adds it, and looks then."""
    assert send(node, "28.5", repository=REPOSITORY).code == 1

    assert not any("madison" in call for call in apt_calls(node))
