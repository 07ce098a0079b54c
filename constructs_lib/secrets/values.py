"""New secret values."""

from __future__ import annotations

import secrets

from constructs_lib.components.model import SecretKind

PASSWORD_BYTES = 24
"""24 random bytes are 32 characters of URL-safe base64."""


def new_value(kind: SecretKind) -> str:
    """A fresh secret: `password` is 32 URL-safe characters, `ssh_host_key` an OpenSSH ed25519 private key."""
    if kind == "password":
        return secrets.token_urlsafe(PASSWORD_BYTES)
    return _ssh_key()


def _ssh_key() -> str:
    # Imported here: most runs make no key, and this is the slowest import of the whole road.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def ssh_public_key(private: str) -> str:
    """`ssh-ed25519 AAAA…` of an OpenSSH private key, for known_hosts."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_ssh_private_key,
    )

    public = load_ssh_private_key(private.encode(), password=None).public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
