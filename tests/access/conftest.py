"""A jump host and a node behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.access.host_keys import public_host_key
from constructs_lib.access.ssh_config import Folder
from constructs_lib.secrets.values import new_value
from tests.access.servers import Site, serving
from tests.conftest import need


@pytest.fixture(scope="module")
def sshd_program() -> Path:
    return need("sshd")


@pytest.fixture(scope="module")
def user_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("user") / "id_ed25519"
    file.write_text(new_value("ssh_host_key"))
    file.chmod(0o600)
    return file


@pytest.fixture
def site(sshd_program: Path, user_key: Path, tmp_path: Path) -> Iterator[Site]:
    accepted = public_host_key(user_key.read_text())
    with (
        serving(sshd_program, tmp_path / "gateway", accepted) as gateway,
        serving(sshd_program, tmp_path / "node", accepted) as node,
    ):
        private = tmp_path / "private %h folder"
        private.mkdir(mode=0o700)
        found = Site(gateway, node, Folder(private), user_key)
        found.write()
        yield found
