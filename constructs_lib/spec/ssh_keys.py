"""SSH public keys: what OpenSSH's authorized_keys takes, without options, and strong enough.

The format is RFC 4253 section 6.6: base64 of length-prefixed fields, the first of which repeats the type.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from constructs_lib.spec.rules import Rule, refuse

FIELDS = {
    "ssh-ed25519": 2,
    "ssh-rsa": 3,
    "ecdsa-sha2-nistp256": 3,
    "ecdsa-sha2-nistp384": 3,
    "ecdsa-sha2-nistp521": 3,
    "sk-ssh-ed25519@openssh.com": 3,
    "sk-ecdsa-sha2-nistp256@openssh.com": 4,
}
"""How many fields a key of each type has."""

SMALLEST_RSA = 3072
"""Bits; NIST SP 800-57 part 1 asks for as much from 2031 on."""

_EXPECTED = "an SSH public key such as `ssh-ed25519 AAAA… you@example.org`"


@dataclass(frozen=True)
class SshKey(Rule):
    """One line of an authorized_keys file without options. A private key is refused and never shown."""

    def check(self, value: object) -> object:
        """The same line."""
        if not isinstance(value, str):
            raise refuse(f"{_EXPECTED}, one line of text")
        if "PRIVATE KEY" in value.upper():
            raise refuse(
                "the public key, usually in the file of the same name that ends in .pub; "
                "the private one has now been in this file: make a new pair",
                "a private key (not shown)",
            )
        line = value.strip()
        if "\n" in line:
            raise refuse(f"{_EXPECTED}, one line per key", "several lines (not shown)")
        kind, _, rest = line.partition(" ")
        if kind not in FIELDS:
            raise refuse(*_wrong_kind(kind, line))
        body, _, comment = rest.strip().partition(" ")
        _check_body(kind, body)
        if len(comment) > 200:
            raise refuse(
                "a comment of at most 200 characters after the key", f"a comment of {len(comment)} characters"
            )
        return line

    def words(self) -> str:
        """An example."""
        return _EXPECTED

    def json_schema(self) -> dict[str, Any]:
        """The types."""
        kinds = "|".join(re.escape(kind).replace("\\-", "-") for kind in FIELDS)
        return {"type": "string", "pattern": f"^\\s*({kinds}) +[A-Za-z0-9+/]+=*( .*)?\\s*$"}


def _wrong_kind(kind: str, line: str) -> tuple[str, str]:
    """What is expected and what was got; the text itself is not shown, it may be anything."""
    if kind == "ssh-dss":
        return f"{_EXPECTED}; OpenSSH dropped DSA", "a DSA key"
    if any(f" {known} " in f" {line}" for known in FIELDS):
        return f"{_EXPECTED}, without options before it", "a key with options"
    if re.fullmatch(r"~?[\w./-]+\.pub", line):
        return f"{_EXPECTED}: the file's content, not its path", f"{line[:60]!r}"
    if re.match(r"AAAA[A-Za-z0-9+/]+", line):
        return f"{_EXPECTED}: its type is missing", "a key without its type"
    return f"{_EXPECTED}, of type {', '.join(FIELDS)}", "no public key of a known type (not shown)"


def _check_body(kind: str, body: str) -> None:
    if not body:
        raise refuse(f"{_EXPECTED}: the base64 text after {kind} is missing", f"only {kind}")
    broken = refuse(
        f"the whole line of the .pub file: this {kind} key is cut off or mistyped", "a broken key"
    )
    try:
        parts = _fields(base64.b64decode(body, validate=True))
    except (binascii.Error, ValueError):
        raise broken from None
    inner = parts[0].decode("ascii", "replace")
    if inner != kind:
        raise refuse(f"the same type before and inside the key, but it says {inner[:40]!r} inside", kind)
    if len(parts) != FIELDS[kind]:
        raise broken
    if kind.endswith("ed25519") and len(parts[1]) != 32:
        raise broken
    if kind == "ssh-rsa":
        bits = int.from_bytes(parts[2], "big").bit_length()
        if bits < SMALLEST_RSA:
            raise refuse(
                f"RSA of at least {SMALLEST_RSA} bits, or better ssh-ed25519 (ssh-keygen -t ed25519)",
                f"an RSA key of {bits} bits",
            )


def _fields(blob: bytes) -> list[bytes]:
    """Splits the blob; ValueError where a length points past the end."""
    parts: list[bytes] = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + length or not length:
            raise ValueError("truncated")
        parts.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    if not parts:
        raise ValueError("empty")
    return parts
