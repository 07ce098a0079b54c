"""Backups and restore tests for real: what the jobs carry is run, broken, and run again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.contracts.backups import Machine, machine

pytestmark = pytest.mark.slow


@pytest.fixture
def shop(tmp_path: Path) -> Machine:
    found = machine(tmp_path)
    (found.data / "orders").mkdir()
    (found.data / "orders" / "1").write_text("three apples", encoding="utf-8")
    (found.data / "empty").write_text("", encoding="utf-8")
    _are_old(found.data)
    return found


def _are_old(folder: Path) -> None:
    """As if nothing had been written for an hour: what is as new as the backup may have changed meanwhile."""
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (time.time() - 3600,) * 2)


def test_what_was_saved_and_destroyed_comes_back_and_only_then_counts(shop: Machine) -> None:
    saved = shop.run("backup")
    assert saved.returncode == 0, saved.stderr
    assert shop.metric("backup_files") == 2
    assert shop.metric("restore_verified_timestamp_seconds") is None
    tested = shop.run("restore-test")
    assert tested.returncode == 0, tested.stderr
    assert (shop.metric("restore_bytes") or 0) >= 4096, "what came back is told"
    verified = shop.metric("restore_verified_timestamp_seconds")
    assert verified is not None and verified >= (shop.metric("backup_success_timestamp_seconds") or 0)
    assert list((shop.here / "scratch").iterdir()) == [], "the scratch folder is left empty"
    shutil.rmtree(shop.data)
    shop.restic("restore", "latest", "--host", "shop", "--tag", "data", "--target", "/")
    assert (shop.data / "orders" / "1").read_text(encoding="utf-8") == "three apples"


def test_an_empty_volume_is_no_backup(shop: Machine) -> None:
    shutil.rmtree(shop.data / "orders")
    (shop.data / "empty").unlink()
    done = shop.run("backup")
    assert done.returncode == 1
    assert "shop.backup: nothing to save" in done.stderr
    assert (shop.metric("backup_files"), shop.metric("backup_success_timestamp_seconds")) == (0, None)


def test_an_empty_volume_beside_a_dump_is_no_backup_of_both(tmp_path: Path) -> None:
    both = machine(tmp_path, before={"command": "echo dumped"}, what="both")
    assert both.run("dump").returncode == 0
    done = both.run("backup")
    assert done.returncode == 1
    assert re.search(r"nothing to save: \S+/data has no file", done.stderr), done.stderr
    assert (both.metric("backup_files"), both.metric("backup_success_timestamp_seconds")) == (0, None)
    (both.data / "order").write_text("one", encoding="utf-8")
    _are_old(both.data)
    assert both.run("backup").returncode == 0
    assert both.metric("backup_files") == 2


def test_a_missing_volume_is_no_backup(shop: Machine) -> None:
    shutil.rmtree(shop.data)
    done = shop.run("backup")
    assert done.returncode == 1 and "/data is missing" in done.stderr


def test_a_missing_secret_is_told_by_its_file(shop: Machine) -> None:
    (shop.here / "secrets" / "RESTIC_PASSWORD").unlink()
    assert shop.run("backup").returncode != 0
    assert not shop.repository.exists()


def test_a_corrupted_repository_is_found_by_the_check_and_by_the_restore_test(shop: Machine) -> None:
    assert shop.run("backup").returncode == 0
    assert shop.run("check").returncode == 0
    assert shop.metric("check_success_timestamp_seconds") is not None
    for pack in (shop.repository / "data").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            pack.write_bytes(b"\0" * 64 + pack.read_bytes()[64:])
    checked, tested = shop.run("check"), shop.run("restore-test")
    assert checked.returncode == 1 and "shop.check: the repository is damaged" in checked.stderr
    assert tested.returncode == 1 and "shop.restore-test: " in tested.stderr
    assert shop.metric("restore_verified_timestamp_seconds") is None


def test_a_stale_lock_stops_nothing(shop: Machine) -> None:
    assert shop.run("backup").returncode == 0
    lock = shop.repository / "locks"
    # A process of this machine that is gone: what a killed job leaves behind.
    _killed_while_it_holds_the_lock(shop)
    assert _held(shop) != []
    for job in ("backup", "forget", "check"):
        done = shop.run(job)
        assert done.returncode == 0, done.stderr
    assert list(lock.iterdir()) == []


@pytest.mark.parametrize("can", [True, False])
def test_a_lock_that_is_held_is_waited_for_where_this_restic_can(shop: Machine, can: bool) -> None:
    calls, bin = shop.here / "calls", shop.here / "bin"
    bin.mkdir()
    offered = "      --retry-lock duration   retry to lock" if can else "      --no-lock"
    script = f"""#!/bin/sh
case "$*" in *--help*) echo "{offered}"; exit;; esac
echo "$*" >>{calls}
[ "$1" != dump ] || cat {shop.here}/note/sentinel
"""
    (bin / "restic").write_text(script, encoding="utf-8")
    (bin / "restic").chmod(0o755)

    for job in ("backup", "forget", "check"):
        assert shop.run(job, PATH=f"{bin}:{os.environ['PATH']}").returncode == 0

    asked = calls.read_text(encoding="utf-8").splitlines()
    for word in ("backup", "tag", "dump", "forget", "check"):
        made = [line for line in asked if line.startswith(f"{word} ")]
        assert made and all(call.startswith(f"{word} --retry-lock 2h ") is can for call in made), made


def _held(shop: Machine) -> list[Path]:
    """The locks of a repository, without what is still being written (restic names it so, then renames)."""
    return [path for path in (shop.repository / "locks").iterdir() if "-tmp-" not in path.name]


def _killed_while_it_holds_the_lock(shop: Machine) -> None:
    """A backup of a pipe that never ends is killed: its lock stays."""
    process = subprocess.Popen(
        ["restic", "backup", "--stdin"],
        env=shop.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while not _held(shop):
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()


def test_a_file_that_was_saved_otherwise_than_it_was_fails_the_restore_test(shop: Machine) -> None:
    assert shop.run("backup").returncode == 0
    # As if the disk had lied: the same time, another content than the manifest says.
    note = shop.here / "note" / "manifest"
    lines = [f"{'0' * 64}{line[64:]}" for line in note.read_text(encoding="utf-8").splitlines()]
    note.write_text("\n".join(lines) + "\n", encoding="utf-8")
    shop.restic("backup", "--host", "shop", "--tag", "data", str(shop.data), str(shop.here / "note"))
    done = shop.run("restore-test")
    assert done.returncode == 1
    assert "came back otherwise than it was saved" in done.stderr
    assert shop.metric("restore_verified_timestamp_seconds") is None


def test_what_the_contract_looks_at_decides(tmp_path: Path) -> None:
    found = machine(tmp_path, verify="grep -q apples orders")
    (found.data / "orders").write_text("three apples", encoding="utf-8")
    assert found.run("backup").returncode == 0
    done = found.run("restore-test")
    assert done.returncode == 0, done.stderr
    (found.data / "orders").write_text("three pears", encoding="utf-8")
    assert found.run("backup").returncode == 0
    refused = found.run("restore-test")
    assert refused.returncode == 1 and "ops.backup.verify refuses" in refused.stderr


def test_a_dump_is_made_saved_and_looked_at(tmp_path: Path) -> None:
    found = machine(
        tmp_path,
        before={"command": "echo CREATE TABLE orders", "file": "shop.sql"},
        verify="grep -q orders shop.sql",
    )
    assert found.jobs["backup"]["parents"] == ["shop.dump"]
    for job in ("dump", "backup", "restore-test"):
        done = found.run(job)
        assert done.returncode == 0, done.stderr
    assert found.metric("restore_files") == 1


@pytest.mark.parametrize(("command", "told"), [("false", "failed"), ("true", "printed nothing")])
def test_a_dump_that_fails_or_is_empty_leaves_the_last_one(tmp_path: Path, command: str, told: str) -> None:
    found = machine(tmp_path, before={"command": command, "file": "shop.sql"})
    (found.here / "dump" / "shop.sql").write_text("the last one", encoding="utf-8")
    done = found.run("dump")
    assert done.returncode == 1 and told in done.stderr
    assert (found.here / "dump" / "shop.sql").read_text(encoding="utf-8") == "the last one"


def test_old_snapshots_are_forgotten(tmp_path: Path) -> None:
    found = machine(tmp_path, keep={"last": 2, "daily": 0, "weekly": 0, "monthly": 0})
    for number in range(3):
        (found.data / "orders").write_text(str(number), encoding="utf-8")
        assert found.run("backup").returncode == 0
    done = found.run("forget")
    assert done.returncode == 0, done.stderr
    assert found.restic("snapshots", "--json").stdout.count('"short_id"') == 2
    assert found.metric("prune_success_timestamp_seconds") is not None
