"""The authority and what it signs, read by the real openssl where it is installed, and by cryptography."""

from __future__ import annotations

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from constructs_lib.errors import SecretsError
from constructs_lib.secrets.certificates import (
    AUTHORITY_LIFE,
    CERTIFICATE_LIFE,
    certificate_alone,
    expires,
    new_authority,
    new_certificate,
)
from tests.conftest import need

NAMES = ("server.eu.consul", "registry.service.consul")


def verify(tmp_path: Path, authority: str, certificate: str, *options: str) -> str:
    openssl = need("openssl")
    (tmp_path / "ca.pem").write_text(certificate_alone(authority))
    (tmp_path / "one.pem").write_text(certificate_alone(certificate))
    files = ("-CAfile", str(tmp_path / "ca.pem"), *options, str(tmp_path / "one.pem"))
    done = subprocess.run([str(openssl), "verify", *files], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", [*NAMES, "localhost"])
def test_openssl_trusts_a_certificate_for_each_of_its_names(tmp_path: Path, name: str) -> None:
    authority = new_authority("cluster_authority")
    certificate = new_certificate(authority, NAMES)

    assert ": OK" in verify(tmp_path, authority, certificate, "-x509_strict", "-verify_hostname", name)


def test_openssl_refuses_another_name_and_another_authority(tmp_path: Path) -> None:
    authority = new_authority("cluster_authority")
    certificate = new_certificate(authority, NAMES)

    assert (
        "hostname mismatch"
        in verify(tmp_path, authority, certificate, "-verify_hostname", "other.consul").lower()
    )
    assert ": OK" not in verify(tmp_path, new_authority("cluster_authority"), certificate)


def test_one_text_serves_as_certificate_and_as_key(tmp_path: Path) -> None:
    one = tmp_path / "one.pem"
    one.write_text(new_certificate(new_authority("a"), NAMES))

    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(one)


def test_what_nodes_get_of_the_authority_has_no_key() -> None:
    authority = new_authority("a")

    assert "PRIVATE KEY" in authority
    assert "PRIVATE KEY" not in certificate_alone(authority)
    assert certificate_alone(authority) in authority


def test_a_certificate_lives_two_years_and_its_authority_ten() -> None:
    authority = new_authority("a")
    now, slack = datetime.now(UTC), timedelta(minutes=5)

    assert abs(expires(authority) - now - AUTHORITY_LIFE) < slack
    assert abs(expires(new_certificate(authority, NAMES)) - now - CERTIFICATE_LIFE) < slack


def test_a_text_that_is_no_authority_is_refused_without_being_shown() -> None:
    with pytest.raises(SecretsError, match="holds no private key") as raised:
        new_certificate("hunter2", NAMES)
    assert "hunter2" not in str(raised.value)
    with pytest.raises(SecretsError, match="holds none"):
        expires("hunter2")
