"""Whoever reads a secret is restarted, or told, when it is another one: held for every file of every node."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from constructs_lib.nodes.model import NodeFiles, NodeSecret
from tests.nodes.test_readers import every_node

SYSTEMD = "/etc/systemd/system/"
NEEDS_NO_RESTART = {
    # It makes a link to the path; who follows the link reads the file anew.
    ("/usr/local/share/ca-certificates/clustermesos.crt", "docker-login.service"),
    # A new authority signs its certificate anew too, and that restarts it.
    ("/usr/local/share/ca-certificates/clustermesos.crt", "docker-registry.service"),
}
"""(path of a secret, unit): named in a unit's files, yet no new value is missed."""


def mentions(text: str, path: str) -> bool:
    """Whether the text names the path, or its folder of secrets and its name there."""
    folder, _, name = path.rpartition("/")
    whole = _word(path.removeprefix("/"), text)
    return whole or (folder.endswith("/secrets") and _word(folder, text) and _word(name, text))


def _word(word: str, text: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w./-])", text) is not None


def readers(files: NodeFiles, secret: NodeSecret) -> Iterator[str]:
    """The units whose own file, script or settings name the secret's path."""
    units = {f.path.removeprefix(SYSTEMD): f.content for f in files.files if f.path.startswith(SYSTEMD)}
    naming = [file for file in files.files if mentions(file.content, secret.path)]
    for name, text in units.items():
        if not name.endswith(".service") or "/" in name or read_anew(text):
            continue
        if mentions(text, secret.path) or any(mentions(text, file.path) for file in naming):
            yield name


def read_anew(unit: str) -> bool:
    """Whether the unit ends after its work, so that each start reads everything again."""
    return "Type=oneshot" in unit and "RemainAfterExit=yes" not in unit


def told(files: NodeFiles, secret: NodeSecret) -> set[str]:
    """The units that a new value restarts or reloads, with those that are part of one."""
    found = {unit for unit in (secret.restarts, secret.reloads) if unit}
    parts = {
        file.path.removeprefix(SYSTEMD)
        for file in files.files
        if file.path.startswith(SYSTEMD) and any(f"PartOf={unit}\n" in file.content for unit in found)
    }
    return found | parts


@pytest.mark.parametrize("files", every_node(), ids=lambda files: f"{files.cluster}-{files.name}")
def test_a_new_value_restarts_every_unit_that_read_the_old_one(files: NodeFiles) -> None:
    missed = {
        (secret.path, unit)
        for secret in files.secrets
        for unit in readers(files, secret)
        if unit not in told(files, secret)
    }

    assert missed - NEEDS_NO_RESTART == set()


def test_the_look_finds_what_it_is_for() -> None:
    consul = next(files for files in every_node() if files.name == "consul-1")
    found = {secret.path: set(readers(consul, secret)) for secret in consul.secrets}

    assert found["/etc/registry/password"] == {"docker-registry.service"}
    assert found["/etc/consul/secrets/agent"] == {"consul.service", "consul-acl.service"}
    assert found["/etc/prometheus/consul-token"] == {"prometheus.service"}
