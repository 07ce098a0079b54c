from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from constructs_lib.access.host_keys import public_host_key
from constructs_lib.errors import SecretsError
from constructs_lib.secrets.values import new_value
from tests.conftest import need


def test_the_public_half_is_what_openssh_says(tmp_path: Path) -> None:
    private = new_value("ssh_host_key")
    file = tmp_path / "key"
    file.write_text(private)
    file.chmod(0o600)
    said = subprocess.run(
        [need("ssh-keygen"), "-y", "-f", file], capture_output=True, text=True, check=True
    ).stdout
    assert public_host_key(private).split()[:2] == said.split()[:2]


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n"])
def test_anything_else_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(SecretsError, match="no unencrypted OpenSSH private key") as caught:
        public_host_key(text)
    assert "c2VjcmV0" not in str(caught.value)
