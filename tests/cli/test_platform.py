"""What the commands know of the cluster before they ask it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.access.forward import Port
from constructs_lib.cli.platform import Cluster
from constructs_lib.hooks import endpoints
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.ensure import ensure
from constructs_lib.secrets.store import read_store, write_store
from constructs_lib.spec.load import load
from scripts.progress import ROOT


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """Whose secrets are here."""
    (tmp_path / "cluster.yaml").write_text((ROOT / "cluster.yaml").read_text())
    options: dict[str, Any] = {"outdir": None, "simulator": None, "timeout": 60.0}
    found = Cluster.of(argparse.Namespace(file=tmp_path / "cluster.yaml", **options))
    found.workspace.make_private()
    ensure(found.plan.secrets, (), found.workspace.secrets_file, {})
    return found


def test_the_registry_s_login_is_the_nodes_own_and_is_not_shown(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = cluster._login()

    assert login is not None and len(login.password) == 32
    assert login.authority.startswith("-----BEGIN CERTIFICATE-----") and "KEY" not in login.authority
    assert login.password not in repr(login)
    monkeypatch.setenv("TF_VAR_registry_password", "from-the-environment")
    other = cluster._login()
    assert other is not None and other.password == "from-the-environment"


@pytest.mark.parametrize("lacks", ["registry_password", "cluster_authority_certificate"])
def test_without_its_password_or_the_authority_nobody_logs_in(cluster: Cluster, lacks: str) -> None:
    held = read_store(cluster.workspace.secrets_file)
    del held[lacks]
    write_store(cluster.workspace.secrets_file, held)

    assert cluster._login() is None


def test_the_registry_is_logged_in_to_on_its_own_node() -> None:
    cluster = plan(load(ROOT / "cluster.yaml"))
    (there,) = endpoints.planned(cluster)[endpoints.LOGIN]

    assert there.where == f"{there.address}:5000"
    assert endpoints._way(endpoints.LOGIN, there, cluster.site("eu")) == Port(
        "consul-1.eu", "127.0.0.1", 5000
    )
