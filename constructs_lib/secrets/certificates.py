"""The cluster's certificate authority, and the certificates that it signs; all as PEM texts.

A text holds the private key first and its certificate after it, so that one 0600 file serves as both. The
authority's never leaves the store: nodes get certificates, and the authority's own without its key. Keys are
ECDSA on P-256, which everything that reads them here knows (Consul, Docker, the registry).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from constructs_lib.errors import SecretsError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

AUTHORITY_LIFE = timedelta(days=3650)
CERTIFICATE_LIFE = timedelta(days=730)
RENEW_BEFORE = timedelta(days=90)
"""`clustermesos secrets` says so once a certificate has less left than this."""
CLOCK_SKEW = timedelta(days=1)
"""Valid since yesterday: a node's clock may be behind ours."""


def new_authority(name: str) -> str:
    """Private key and self-signed certificate of a new authority called `name`; it signs no other one."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(name)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(subject, subject, key, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _text(certificate, key, signed_with=key)


def new_certificate(authority: str, dns_names: Iterable[str]) -> str:
    """Private key and certificate for `dns_names`, this node itself included, signed by `authority`.

    For servers and clients alike. SecretsError when `authority` is not what `new_authority` gave.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    signer, its_key = _read(authority)
    names = [*dns_names, "localhost"]
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.IPAddress(IPv4Address("127.0.0.1"))
    uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        _builder(_named(names[0]), signer.subject, key, CERTIFICATE_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, names), own]), critical=False)
        .add_extension(uses, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(its_key.public_key()), False)
    )
    return _text(certificate, key, signed_with=its_key)


def certificate_alone(text: str) -> str:
    """The certificate of `text` without the key: what everyone may read."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return _certificate(text).public_bytes(Encoding.PEM).decode()


def expires(text: str) -> datetime:
    """When the certificate in `text` ends (UTC). SecretsError when it holds none."""
    return _certificate(text).not_valid_after_utc


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, life: timedelta
) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + life)
    )


def _named(name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _text(
    builder: x509.CertificateBuilder, key: EllipticCurvePrivateKey, *, signed_with: EllipticCurvePrivateKey
) -> str:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (private + builder.sign(signed_with, SHA256()).public_bytes(Encoding.PEM)).decode()


def _certificate(text: str) -> x509.Certificate:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError:
        raise SecretsError("a certificate was expected, but its text holds none; restore it") from None


def _read(authority: str) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(authority.encode(), password=None)
    except ValueError:
        raise SecretsError("the certificate authority's text holds no private key; restore it") from None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise SecretsError("the certificate authority's key: expected an EC key (P-256)")
    return _certificate(authority), key
