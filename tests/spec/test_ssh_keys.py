from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic_core import PydanticCustomError

from constructs_lib.spec.ssh_keys import SshKey


def line_of(public_key: ed25519.Ed25519PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    return public_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def field(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def refusal_of(value: object) -> str:
    with pytest.raises(PydanticCustomError) as caught:
        SshKey().check(value)
    context = caught.value.context or {}
    return f"{context.get('got')} / {context['expected']}"


@pytest.mark.parametrize(
    "curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name
)
def test_accepts_real_ecdsa_keys(curve: ec.EllipticCurve) -> None:
    line = line_of(ec.generate_private_key(curve).public_key())
    assert SshKey().check(line) == line


def test_accepts_a_real_ed25519_key_with_and_without_comment() -> None:
    line = line_of(ed25519.Ed25519PrivateKey.generate().public_key())
    assert SshKey().check(f"{line} a comment with spaces\n") == f"{line} a comment with spaces"
    assert SshKey().check(line) == line


@pytest.mark.parametrize(("bits", "fine"), [(2048, False), (3072, True)])
def test_rsa_needs_3072_bits(bits: int, fine: bool) -> None:
    line = line_of(rsa.generate_private_key(65537, bits).public_key())
    if fine:
        assert SshKey().check(line) == line
    else:
        assert refusal_of(line).startswith("an RSA key of 2048 bits / RSA of at least 3072")


@pytest.mark.parametrize(
    "form", [PrivateFormat.OpenSSH, PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL]
)
def test_a_private_key_is_refused_and_never_shown(form: PrivateFormat) -> None:
    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    refusal = refusal_of(key)
    assert refusal.startswith("a private key (not shown) / the public key")
    assert not any(line in refusal for line in key.splitlines()[1:-1])


def test_the_type_inside_must_be_the_one_before() -> None:
    line = line_of(ed25519.Ed25519PrivateKey.generate().public_key())
    assert "says 'ssh-ed25519' inside" in refusal_of(line.replace("ssh-ed25519", "ecdsa-sha2-nistp256"))


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        field(b"ssh-ed25519"),
        field(b"ssh-ed25519") + field(b"x" * 31),
        field(b"ssh-ed25519") + field(b"x" * 32) + field(b"more"),
        field(b"ssh-ed25519") + b"\xff\xff\xff\xff" + b"x" * 32,
        field(b"ssh-ed25519") + b"\x00\x00\x00\x00",
        b"\x00\x00",
    ],
)
def test_a_broken_body_is_refused(blob: bytes) -> None:
    body = base64.b64encode(blob).decode()
    assert refusal_of(f"ssh-ed25519 {body} me").startswith(("a broken key", "None"))


@pytest.mark.parametrize(
    "value", [None, 3, ["ssh-ed25519 AAAA"], "", "hunter2", "-----BEGIN CERTIFICATE-----"]
)
def test_anything_else_is_refused_without_showing_it(value: object) -> None:
    assert "hunter2" not in refusal_of(value)
