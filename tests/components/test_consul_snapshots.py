"""Snapshots of a real Consul server: taken, kept, brought back, and healed where the volume was full."""

from __future__ import annotations

import shutil
import stat
import time
from pathlib import Path

import pytest

from constructs_lib.components.consul import SNAPSHOT
from tests.components.consul_here import SERVER, Agent


@pytest.mark.slow
def test_a_snapshot_brings_back_what_was_deleted(server: Agent, acl: object) -> None:
    token = server.secret("management")
    folder = server.at("/srv/data/consul-snapshots")
    folder.mkdir(parents=True, exist_ok=True)
    metrics = server.at("/var/lib/prometheus/node-exporter")
    metrics.mkdir(parents=True, exist_ok=True)
    (folder / "20200101T000000Z.snap").write_text("an old one")
    assert server.ask("kv/shop/colour", token, "PUT", b"blue")[0] == 200

    done = server.run_script("/usr/local/sbin/consul-snapshot")

    assert done.returncode == 0, done.stderr
    newest = sorted(folder.glob("*.snap"))[-1]
    assert stat.S_IMODE(newest.stat().st_mode) == 0o600
    server.ask("kv/shop/colour", token, "DELETE")
    assert server.ask("kv/shop/colour?raw", token)[0] == 404
    status, text = server.ask("snapshot", token, "PUT", newest.read_bytes())
    assert status == 200, text
    server.wait("the old value", lambda: server.ask("kv/shop/colour?raw", token) == (200, "blue"))
    name, taken = (metrics / "consul.prom").read_text().split()
    assert name == SNAPSHOT and 0 <= time.time() - int(taken) < 600
    assert stat.S_IMODE((metrics / "consul.prom").stat().st_mode) == 0o644


@pytest.mark.slow
def test_a_snapshot_whose_metric_cannot_be_written_is_none_the_less_taken(server: Agent, acl: object) -> None:
    server.at("/srv/data/consul-snapshots").mkdir(parents=True, exist_ok=True)
    shutil.rmtree(server.at("/var/lib/prometheus"), ignore_errors=True)

    assert server.run_script("/usr/local/sbin/consul-snapshot").returncode == 0


def test_only_the_newest_snapshots_are_kept(server: Agent, acl: object) -> None:
    folder = server.at("/srv/data/consul-snapshots")
    folder.mkdir(parents=True, exist_ok=True)
    # One of this very second would be replaced instead of kept beside the new one.
    for path in folder.glob("*.snap"):
        path.unlink()
    for day in range(1, 31):
        (folder / f"202001{day:02}T000000Z.snap").write_text("an old one")

    assert server.run_script("/usr/local/sbin/consul-snapshot").returncode == 0

    kept = sorted(path.name for path in folder.glob("*.snap"))
    assert len(kept) == 28
    assert "20200101T000000Z.snap" not in kept
    assert kept[-1] > "2025"


def test_a_snapshot_that_fails_leaves_the_old_ones(server: Agent, acl: object, tmp_path: Path) -> None:
    folder = server.at("/srv/data/consul-snapshots")
    before = sorted(folder.glob("*.snap"))
    management = server.at("/etc/consul/secrets/management")
    token = management.read_text()
    management.write_text("00000000-0000-4000-8000-000000000000")

    done = server.run_script("/usr/local/sbin/consul-snapshot")

    management.write_text(token)
    assert done.returncode != 0
    assert sorted(folder.glob("*.snap")) == before[-27:]


def test_the_oldest_snapshot_goes_before_a_new_one_so_that_a_full_volume_heals(
    server: Agent, acl: object
) -> None:
    folder = server.at("/srv/data/consul-snapshots")
    folder.mkdir(parents=True, exist_ok=True)
    for day in range(1, 31):
        (folder / f"202001{day:02}T000000Z.snap").write_text("an old one")
    management = server.at("/etc/consul/secrets/management")
    token = management.read_text()
    management.write_text("00000000-0000-4000-8000-000000000000")

    done = server.run_script("/usr/local/sbin/consul-snapshot")

    management.write_text(token)
    assert done.returncode != 0
    assert not (folder / "20200101T000000Z.snap").exists()
    assert len(list(folder.glob("*.snap"))) == 27


def test_a_snapshot_that_failed_is_tried_again_soon() -> None:
    unit = SERVER.file("/etc/systemd/system/consul-snapshot.service").content

    assert "Restart=on-failure\nRestartSec=60\n" in unit
