"""What `clustermesos restore` starts, run with the real restic, stopped anywhere, and run again."""

from __future__ import annotations

import fcntl
import json
import os
import re
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


def test_a_snapshot_that_is_back_is_no_failure_where_nobody_can_be_told(shop: Machine) -> None:
    shutil.rmtree(shop.here / "metrics")

    done = shop.run("restore")

    assert (done.returncode, tree(shop.data)) == (0, SAVED)
    assert "its metrics can't be written to the agent's folder" in done.stderr
    assert "restored, all the same" in done.stderr


def test_metrics_of_a_full_disk_leave_those_of_before_and_are_told(shop: Machine) -> None:
    told = shop.here / "metrics" / "clustermesos-shop.restore.prom"
    told.write_text("of before")
    told.with_suffix(".prom.new").symlink_to("/dev/full")
    # That device is everybody's.
    path = first(shop, "none", "exit 1")
    program(shop.here / "bin" / "chmod", "\n")

    done = shop.run("restore", PATH=path)

    assert (done.returncode, tree(shop.data)) == (0, SAVED)
    assert "its metrics can't be written to the agent's folder" in done.stderr
    assert "restored, all the same" in done.stderr
    assert not told.is_symlink() and told.read_text() == "of before"


def test_a_job_whose_metrics_cant_be_written_says_so(shop: Machine) -> None:
    shutil.rmtree(shop.here / "metrics")

    done = shop.run("forget")

    assert done.returncode == 1
    assert "shop.forget: its metrics can't be written to the agent's folder" in done.stderr


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


class Dying:
    """A shell that is killed at the n-th name that it moves, marks or deletes, a deletion half-way."""

    def __init__(self, shop: Machine, restored: Path, folder: Path) -> None:
        self.shop, self.folder, self.whole = shop, folder, shop.jobs["restore"]["command"]
        bin = folder / "bin"
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
        for name in ("mv", "touch", "mkdir", "rm"):
            program(
                bin / name,
                f"""
case "$*" in *.prom*) exec /bin/{name} "$@";; *clustermesos-*|*/data/*) ;; *) exec /bin/{name} "$@";; esac
left=$(cat {folder}/left); left=$((left - 1)); echo $left > {folder}/left
[ $left -le 0 ] || exec /bin/{name} "$@"
[ {name} != rm ] || find "$2" -type f | head -n 1 | xargs -r /bin/rm -f
kill -KILL "$(cat {folder}/shell)"; exit 1
""",
            )

    def run(self, dies_at: int, **environment: str) -> int:
        (self.folder / "left").write_text(str(dies_at))
        start = f"echo $$ > {self.folder}/shell; PATH={self.folder}/bin:$PATH; "
        self.shop.jobs["restore"]["command"] = start + self.whole
        return self.shop.run("restore", **environment).returncode


NEVER = 1000


@pytest.fixture
def dying(shop: Machine, restored: Path, tmp_path: Path) -> Dying:
    return Dying(shop, restored, tmp_path)


def test_there_are_so_many_places_to_die_at(dying: Dying) -> None:
    assert dying.run(NEVER) == 0
    assert NEVER - int((dying.folder / "left").read_text()) == PLACES


PLACES = 14


@pytest.mark.parametrize("dies_at", range(1, PLACES + 1))
def test_a_restore_that_dies_anywhere_in_the_swap_is_whole_after_the_next_one(
    shop: Machine, dying: Dying, dies_at: int
) -> None:
    assert dying.run(dies_at) == -9

    assert dying.run(NEVER) == 0

    assert tree(shop.data) == SAVED


@pytest.mark.parametrize("dies_at", range(1, PLACES + 1))
def test_a_restore_that_dies_anywhere_is_undone_or_done_and_never_half(
    shop: Machine, dying: Dying, dies_at: int
) -> None:
    before = tree(shop.data)
    assert dying.run(dies_at) == -9

    # Undoing may die as well, in any place.
    for again in (1, 2, 3, 4):
        dying.run(again, ONLY="undo")
    assert dying.run(NEVER, ONLY="undo") == 0

    assert tree(shop.data) in (before, SAVED)
    assert not list(shop.data.glob(".clustermesos-*"))


def test_nothing_is_moved_beside_a_restore_that_still_runs(shop: Machine) -> None:
    before = tree(shop.data)
    lock = shop.data / ".clustermesos-lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for only in ("", "undo"):
            done = shop.run("restore", ONLY=only)
            assert done.returncode == 1
            assert "another restore of it runs" in done.stderr
        assert {k: v for k, v in tree(shop.data).items() if k != lock.name} == before

    assert shop.run("restore").returncode == 0
    assert tree(shop.data) == SAVED


@pytest.mark.parametrize("part", ["restore", "before", "swapped"])
def test_what_a_restore_has_half_done_is_not_saved(shop: Machine, part: str) -> None:
    left = shop.data / f".clustermesos-{part}"
    left.mkdir()

    done = shop.run("backup")

    assert done.returncode == 1
    assert (
        "a restore of it runs or did not end, so nothing was saved: clustermesos restore shop" in done.stderr
    )
    assert len(json.loads(shop.restic("snapshots", "--json").stdout)) == 1
    left.rmdir()
    assert shop.run("backup").returncode == 0


@pytest.mark.parametrize(("saved_host", "typed"), [("shop", "shop"), ("10.2.1.4", "shop --node 10.2.1.4")])
def test_what_is_typed_next_names_the_node_where_several_have_data(
    shop: Machine, saved_host: str, typed: str
) -> None:
    (shop.data / ".clustermesos-before").mkdir()

    done = shop.run("backup", SAVED_HOST=saved_host)

    assert f"clustermesos restore {typed}, or" in done.stderr


def first(shop: Machine, command: str, does: str) -> str:
    """A PATH whose restic does something else before it runs that command."""
    bin = shop.here / "bin"
    bin.mkdir()
    program(
        bin / "restic",
        f"""
[ "$1" != {command} ] || [ "$2" = --help ] || {{ {does}; }}
exec {shutil.which("restic")} "$@"
""",
    )
    return f"{bin}:{os.environ['PATH']}"


def tags(shop: Machine) -> list[str]:
    """Those of all snapshots, without the seconds of the unchecked ones."""
    found = json.loads(shop.restic("snapshots", "--json").stdout)
    return sorted(",".join(tag for tag in each["tags"] if not tag.isdigit()) for each in found)


def test_a_backup_during_which_a_restore_began_is_none(shop: Machine) -> None:
    before = f"{shop.data}/.clustermesos-before"
    path = first(shop, "backup", f"mkdir {before}; mv {shop.data}/orders {before}/")

    done = shop.run("backup", PATH=path)

    assert done.returncode == 1
    assert re.search(
        r"a restore of it began meanwhile, so what was saved at 20\d\d(-\d\d){2} \d\d(:\d\d){2} UTC may lack",
        done.stderr,
    )
    assert shop.run("restore").returncode == 0
    assert tree(shop.data) == SAVED


def test_a_backup_that_was_killed_before_it_was_checked_is_never_taken_for_one(shop: Machine) -> None:
    path = first(shop, "tag", 'kill -KILL "$PPID"; exit 1')
    assert shop.run("backup", PATH=path).returncode == -9
    assert tags(shop) == ["data", "unchecked:data"]
    assert shop.run("backup").returncode == 0
    assert tags(shop) == ["data", "data", "unchecked:data"]
    shop.restic("forget", "--tag", "data", "--keep-last", "1")
    (shop.data / "orders" / "2").unlink()

    assert shop.run("restore").returncode == 0

    assert tree(shop.data) == {".hidden": "a dot file", **SINCE}


@pytest.mark.parametrize("does", ["exit 0", "exit 1"])
def test_a_backup_that_a_restore_would_not_find_is_none(shop: Machine, does: str) -> None:
    done = shop.run("backup", PATH=first(shop, "tag", does))

    assert done.returncode == 1
    assert "a restore would not find it" in done.stderr
    assert shop.metric("restored_files") is None


def test_of_what_was_never_checked_only_the_newest_stays_which_a_backup_may_be_at(shop: Machine) -> None:
    path = first(shop, "tag", "exit 1")
    for _ in (1, 2):
        assert shop.run("backup", PATH=path).returncode == 1
    assert tags(shop) == ["data", "unchecked:data", "unchecked:data"]

    assert shop.run("forget").returncode == 0

    assert tags(shop) == ["data", "unchecked:data"]


@pytest.mark.parametrize(("snapshot", "code"), [("latest", 0), ("deadbeef", 1), ("lates", 1)])
def test_whether_there_is_a_snapshot_is_asked_without_a_change(
    shop: Machine, snapshot: str, code: int
) -> None:
    before = tree(shop.data)

    done = shop.run("restore", SNAPSHOT=snapshot, ONLY="find")

    assert done.returncode == code, done.stderr
    assert tree(shop.data) == before
    assert ("there is no snapshot" in done.stderr) == bool(code)


def test_another_ones_snapshot_is_not_this_contracts(shop: Machine) -> None:
    note = shop.here / "note"
    (note / "sentinel").write_text("1 other data other")
    shop.restic("backup", "--host", "other", "--tag", "data", str(shop.data), str(note))
    newest = max(json.loads(shop.restic("snapshots", "--json").stdout), key=lambda one: str(one["time"]))

    done = shop.run("restore", SNAPSHOT=newest["short_id"], ONLY="find")

    assert done.returncode == 1
    assert "the snapshot is another one's: other data other" in done.stderr


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
