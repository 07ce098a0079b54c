"""New secret values."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Mapping

from constructs_lib.components.model import SecretKind
from constructs_lib.plan.model import PlannedSecret

PASSWORD_BYTES = 24
"""24 random bytes are 32 characters of URL-safe base64."""
GOSSIP_KEY_BYTES = 32
"""AES-256, the longest that Consul takes."""


def new_value(kind: SecretKind) -> str:
    """A fresh secret of a kind that nothing signs (`components.model.Secret` says what each is)."""
    if kind == "password":
        return secrets.token_urlsafe(PASSWORD_BYTES)
    if kind == "ssh_host_key":
        return _ssh_key()
    if kind == "gossip_key":
        return base64.b64encode(secrets.token_bytes(GOSSIP_KEY_BYTES)).decode()
    if kind == "wireguard_key":
        return base64.b64encode(secrets.token_bytes(32)).decode()
    if kind == "token":
        return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
    raise ValueError(f"{kind}: made from what signs it, see new_secret()")


def new_secret(secret: PlannedSecret, others: Mapping[str, str]) -> str:
    """A fresh value for a planned secret; `others` holds at least the authority that signs it, by name."""
    from constructs_lib.secrets import certificates

    declared = secret.declared
    if declared.kind == "authority":
        return certificates.new_authority(secret.name)
    if declared.kind == "authority_certificate":
        return certificates.certificate_alone(others[declared.signed_by or ""])
    if declared.kind == "certificate":
        return certificates.new_certificate(others[declared.signed_by or ""], secret.dns_names)
    if declared.kind == "wireguard_public_key":
        return wireguard_public_key(others[private_half(secret)])
    return new_value(declared.kind)


def private_half(public: PlannedSecret) -> str:
    """The name of the key that a planned public key is half of."""
    return f"{public.declared.signed_by}{public.name.removeprefix(public.declared.name)}"


def _ssh_key() -> str:
    # Imported here: most runs make no key, and this is the slowest import of the whole road.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def wireguard_public_key(private: str) -> str:
    """The public half, in base64, of a WireGuard private key in base64 (X25519)."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    key = X25519PrivateKey.from_private_bytes(base64.b64decode(private))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def ssh_public_key(private: str) -> str:
    """`ssh-ed25519 AAAA…` of an OpenSSH private key, for known_hosts."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_ssh_private_key,
    )

    public = load_ssh_private_key(private.encode(), password=None).public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
