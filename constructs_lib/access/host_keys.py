"""The gateway's host key: what operators check is derived from the very secret that the gateway
presents.
"""

from __future__ import annotations

from constructs_lib.errors import SecretsError


def public_host_key(private_key: str) -> str:
    """The public half, `ssh-ed25519 AAAA…`, of an unencrypted OpenSSH private key; SecretsError for
    anything else.
    """
    # Only commands that log in need it, and it takes longer to import than the rest of them together.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

    try:
        key = load_ssh_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The text of the key must not reach the message.
        raise SecretsError(
            f"the gateway's host key is no unencrypted OpenSSH private key ({type(error).__name__}); restore "
            ".clustermesos/secrets.json, or the variable that supplies it"
        ) from None
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
