"""What has every program of a node trust the cluster's authority, run for real below a temporary root."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from constructs_lib.components.consul import AUTHORITY, AUTHORITY_PATH
from tests.components.consul_here import CLIENT, CLUSTER, values
from tests.components.on_node import Root
from tests.conftest import need

SCRIPT = CLIENT.file("/usr/local/libexec/cluster-authority").content
STORE = "/etc/ssl/certs"
BUNDLE = f"{STORE}/ca-certificates.crt"
FULL = 'echo called >>"$(dirname "$0")/full"'


class Trust(Root):
    """A node whose store has one certificate of the world."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.double("update-ca-certificates", FULL)
        self.world = self.of_the_world()
        self.put(BUNDLE, self.world)

    def of_the_world(self) -> str:
        kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null")
        make = (need("openssl"), "req", "-x509", *kind, "-subj", "/CN=Anybody")
        return subprocess.run(make, capture_output=True, text=True, check=True, timeout=60).stdout

    def new_authority(self) -> str:
        return values(CLUSTER.secrets)[f"{AUTHORITY}_certificate"]

    def add(self, certificate: str) -> subprocess.CompletedProcess[str]:
        self.put(AUTHORITY_PATH, certificate)
        done = self.run(SCRIPT, replaced={AUTHORITY_PATH: str(self.at(AUTHORITY_PATH))})
        assert done.returncode == 0, done.stderr
        return done

    @property
    def full(self) -> int:
        """How often update-ca-certificates was called."""
        calls = self.at("/bin/full")
        return len(calls.read_text().splitlines()) if calls.exists() else 0

    def store(self) -> dict[str, tuple[int, str]]:
        """What is in the store, and when it was last changed."""
        return {path.name: (path.lstat().st_mtime_ns, path.read_text()) for path in self.at(STORE).iterdir()}


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust(tmp_path)


def verified(trust: Trust, *store: str) -> bool:
    """Whether OpenSSL trusts the authority by this store alone."""
    done = subprocess.run(
        ["openssl", "verify", "-no-CAfile", "-no-CApath", "-no-CAstore", *store, trust.at(AUTHORITY_PATH)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode == 0


def test_the_authority_is_trusted_by_the_bundle_and_by_the_folder_beside_the_worlds(trust: Trust) -> None:
    trust.put(AUTHORITY_PATH, trust.new_authority())
    assert not verified(trust, "-CAfile", str(trust.at(BUNDLE)))

    trust.add(trust.new_authority())

    assert verified(trust, "-CAfile", str(trust.at(BUNDLE)))
    assert verified(trust, "-CApath", str(trust.at(STORE)))
    assert trust.at(BUNDLE).read_text().startswith(trust.world)
    assert trust.at(BUNDLE).stat().st_mode & 0o777 == 0o644
    # As update-ca-certificates would link it, so that its next run finds nothing to do.
    assert trust.at(f"{STORE}/clustermesos.pem").readlink() == trust.at(AUTHORITY_PATH)
    assert trust.full == 0


def test_a_second_run_changes_nothing(trust: Trust) -> None:
    certificate = trust.new_authority()
    trust.add(certificate)
    before = trust.store()

    trust.add(certificate)

    assert trust.store() == before
    assert trust.full == 0


def test_a_run_that_was_cut_off_is_finished_by_the_next(trust: Trust) -> None:
    certificate = trust.new_authority()
    trust.add(certificate)
    trust.at(f"{STORE}/clustermesos.pem").unlink()

    trust.add(certificate)

    assert trust.at(BUNDLE).read_text().count("BEGIN CERTIFICATE") == 2
    assert trust.at(f"{STORE}/clustermesos.pem").is_symlink()


def test_another_authority_than_before_is_left_to_update_ca_certificates(trust: Trust) -> None:
    trust.add(trust.new_authority())

    trust.add(trust.new_authority())

    assert trust.full == 1


def test_a_node_without_a_bundle_has_it_made(trust: Trust) -> None:
    trust.at(BUNDLE).unlink()

    trust.add(trust.new_authority())

    assert trust.full == 1
