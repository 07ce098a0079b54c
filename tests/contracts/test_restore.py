"""What `clustermesos restore` starts, run with the real restic, stopped anywhere, and run again."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from tests.contracts.backups import Machine, machine

pytestmark = pytest.mark.slow


def old(folder: Path) -> None:
    """As if nothing had been written for an hour."""
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (time.time() - 3600,) * 2)


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


SAVED = {"orders/1": "three apples", ".hidden": "a dot file", "a name with spaces": "x"}
SINCE = {"orders/1": "nothing", "orders/2": "never saved"}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def backed_up(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of a machine whose volume was backed up, and a copy: restic takes seconds to open one."""
    folder = tmp_path_factory.mktemp("backed-up")
    found = machine(folder / "shop")
    write(found.data, SAVED)
    old(found.data)
    assert found.run("backup").returncode == 0
    shutil.copytree(found.here, folder / "copy", symlinks=True)
    return found.here, folder / "copy"


@pytest.fixture
def shop(backed_up: tuple[Path, Path]) -> Machine:
    """A volume that was backed up, and then changed; always at one path, which its snapshot has."""
    here, copy = backed_up
    shutil.rmtree(here)
    shutil.copytree(copy, here, symlinks=True)
    found = machine(here)
    (found.data / "a name with spaces").unlink()
    write(found.data, SINCE)
    return found


def test_the_volume_is_again_exactly_what_was_saved(shop: Machine) -> None:
    done = shop.run("restore")

    assert done.returncode == 0, done.stderr
    assert tree(shop.data) == SAVED
    assert shop.metric("restored_files") == len(SAVED)
    assert not list(shop.data.glob(".clustermesos-*"))


def test_an_older_snapshot_is_named_by_its_id(shop: Machine) -> None:
    old(shop.data)
    assert shop.run("backup").returncode == 0
    first = min(json.loads(shop.restic("snapshots", "--json").stdout), key=lambda one: str(one["time"]))

    assert shop.run("restore", SNAPSHOT=first["short_id"]).returncode == 0
    assert tree(shop.data) == SAVED


@pytest.mark.parametrize("snapshot", ["deadbeef", "latest"])
def test_a_snapshot_that_cant_be_restored_changes_nothing(shop: Machine, snapshot: str) -> None:
    before = tree(shop.data)
    if snapshot == "latest":
        for pack in (shop.repository / "data").rglob("*"):
            if pack.is_file():
                pack.chmod(0o600)
                pack.write_bytes(b"\0" * pack.stat().st_size)
    done = shop.run("restore", SNAPSHOT=snapshot)

    assert done.returncode == 1
    assert "shop.restore: " in done.stderr
    assert {k: v for k, v in tree(shop.data).items() if not k.startswith(".clustermesos")} == before


def test_what_the_contract_refuses_changes_nothing(tmp_path: Path) -> None:
    found = machine(tmp_path, verify="test -f no-such-file")
    write(found.data, SAVED)
    old(found.data)
    assert found.run("backup").returncode == 0
    write(found.data, SINCE)
    before = tree(found.data)

    done = found.run("restore")

    assert done.returncode == 1
    assert "ops.backup.verify refuses" in done.stderr
    assert {k: v for k, v in tree(found.data).items() if not k.startswith(".clustermesos")} == before


@pytest.fixture
def restored(shop: Machine, tmp_path: Path) -> Path:
    """What the real restic makes of the snapshot."""
    shop.restic("restore", "latest", "--target", str(tmp_path / "restored"))
    return tmp_path / "restored"


@pytest.mark.parametrize("dies_at", range(1, 9))
def test_a_restore_that_dies_anywhere_in_the_swap_is_whole_after_the_next_one(
    shop: Machine, restored: Path, tmp_path: Path, dies_at: int
) -> None:
    counter, bin = tmp_path / "counter", tmp_path / "bin"
    bin.mkdir()
    # The swap is what is tried here: restic's part of it is the tree that it made before.
    program(
        bin / "restic",
        f"""
while [ $# -gt 0 ]; do
  [ "$1" = --target ] && mkdir -p "$2" && cp -a {restored}/. "$2/"
  shift
done
exit 0""",
    )
    # Each counts down, and the one whose turn it is kills the script instead.
    for name in ("mv", "touch", "mkdir"):
        program(
            bin / name,
            f"""
case "$*" in *clustermesos-*) ;; *) exec /bin/{name} "$@";; esac
left=$(cat {counter}); left=$((left - 1)); echo $left > {counter}
[ $left -gt 0 ] || {{ kill -KILL "$(cat {tmp_path}/shell)"; exit 1; }}
exec /bin/{name} "$@"
""",
        )
    counter.write_text(str(dies_at))
    job = shop.jobs["restore"]
    whole = job["command"]
    job["command"] = f"echo $$ > {tmp_path}/shell; PATH={bin}:$PATH; {whole}"
    died = shop.run("restore")
    counter.write_text("1000")

    done = shop.run("restore")

    assert done.returncode == 0, done.stderr
    assert tree(shop.data) == SAVED
    assert died.returncode in (-9, 0)


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh{script}")
    path.chmod(0o755)


def test_a_dump_comes_back_and_is_loaded_by_the_applications_own_program(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    with sqlite3.connect(database) as shop_db:
        shop_db.execute("create table orders (id integer primary key, what text)")
        shop_db.executemany("insert into orders (what) values (?)", [("apples",), ("pears",)])
    dump = f"import sqlite3; print('\\n'.join(sqlite3.connect('{database}').iterdump()))"
    load = f"import sys, sqlite3; sqlite3.connect('{database}').executescript(sys.stdin.read())"
    found = machine(
        tmp_path / "agent",
        before={"command": f'python3 -c "{dump}"', "file": "shop.sql", "load": f'python3 -c "{load}"'},
    )
    for job in ("dump", "backup"):
        assert (done := found.run(job)).returncode == 0, done.stderr
    database.unlink()
    (found.here / "dump" / "shop.sql").unlink()

    for job in ("restore", "load"):
        assert (done := found.run(job)).returncode == 0, done.stderr

    with sqlite3.connect(database) as again:
        assert again.execute("select what from orders order by id").fetchall() == [("apples",), ("pears",)]


def test_a_dump_that_is_not_there_is_not_loaded(tmp_path: Path) -> None:
    found = machine(tmp_path, before={"command": "echo x", "load": "cat"})

    done = found.run("load")

    assert done.returncode == 1
    assert "there is no dump" in done.stderr
