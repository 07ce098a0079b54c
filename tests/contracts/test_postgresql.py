"""A database behind a server: PostgreSQL is dumped, lost with its folder, restored and loaded by the jobs."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.backups import Machine, machine

pytestmark = pytest.mark.slow

PASSWORD = "a password of the application"
ORDERS = [(1, "three apples; 'quoted' \\ and\nof two lines"), (2, None), (3, "größer")]
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
PATIENCE = 60


@dataclass
class Server:
    """A PostgreSQL server on loopback, in a folder of its own."""

    folder: Path
    port: int

    def run(self, program: str, *arguments: str, stdin: str = "") -> str:
        """One of its programs, as the user that it runs as: it refuses root."""
        as_user = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
        done = subprocess.run(
            [*as_user, str(PROGRAMS[-1] / program), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        """A new, empty one, in which `shop` may make tables once it says its password."""
        data = self.folder / "data"
        (self.folder / "password").write_text(PASSWORD)
        self.run("initdb", "-D", str(data), "-A", "scram-sha-256", "-U", "shop", "--pwfile", "password", "-N")
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.folder}"
        )
        self.run("pg_ctl", "-D", str(data), "-o", f"{options} -c fsync=off", "-l", "log", "-w", "start")

    def lose(self) -> None:
        """The server and everything that it had."""
        if (self.folder / "data").exists():
            self.run("pg_ctl", "-D", "data", "-m", "immediate", "stop")
            shutil.rmtree(self.folder / "data")

    def sql(self, text: str) -> str:
        """What psql prints."""
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        done = subprocess.run(
            [
                "psql",
                "-h",
                "127.0.0.1",
                "-p",
                str(self.port),
                "-U",
                "shop",
                "-d",
                "postgres",
                "-qAt",
                "-c",
                text,
            ],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def server() -> Iterator[Server]:
    if not PROGRAMS:
        pytest.skip("PostgreSQL is missing: scripts/system_packages.sh installs it")
    with tempfile.TemporaryDirectory(prefix="clustermesos-") as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        server = Server(Path(folder), port)
        server.start()
        yield server
        server.lose()


def shop_of(here: Path, **backup: Any) -> Machine:
    """The jobs of an application that logs in with a password from a file."""
    found = machine(here, dev={"secrets": {"DB_PASSWORD": "shop/db"}}, **backup)
    (here / "secrets" / "DB_PASSWORD").write_text(PASSWORD)
    return found


def test_a_servers_database_is_dumped_lost_restored_loaded_and_the_same(
    server: Server, tmp_path: Path
) -> None:
    password = 'PGPASSWORD=$(cat "$DB_PASSWORD_FILE")'
    way = f"-h 127.0.0.1 -p {server.port} -U shop -d postgres"
    found = shop_of(
        tmp_path,
        before={
            "command": f"{password} pg_dump -Fc {way}",
            "file": "shop.dump",
            "load": f"{password} pg_restore --clean --if-exists --exit-on-error {way}",
        },
        verify="head -c 5 shop.dump | grep -q PGDMP",
    )
    values = ", ".join(
        f"({number}, {'null' if what is None else f'$x${what}$x$'})" for number, what in ORDERS
    )
    server.sql(f"create table orders (id int primary key, what text); insert into orders values {values}")
    asked = "select md5(string_agg(o::text, '|' order by id)), count(*) from orders o"
    before = server.sql(asked)

    for job in ("dump", "backup", "restore-test"):
        assert (done := found.run(job)).returncode == 0, done.stderr
    assert found.metric("restore_verified_timestamp_seconds") is not None
    server.lose()
    (tmp_path / "dump" / "shop.dump").unlink()
    server.start()

    for job in ("restore", "load"):
        assert (done := found.run(job)).returncode == 0, done.stderr

    assert server.sql(asked) == before
    assert before.strip().endswith(f"|{len(ORDERS)}")


def test_a_database_that_lets_nobody_in_is_no_dump_and_leaves_the_last_one(
    server: Server, tmp_path: Path
) -> None:
    found = shop_of(
        tmp_path,
        before={
            "command": f"pg_dump -Fc -w -h 127.0.0.1 -p {server.port} -U shop postgres",
            "file": "shop.dump",
        },
    )
    (tmp_path / "dump" / "shop.dump").write_text("the last one")

    done = found.run("dump")

    assert done.returncode == 1
    assert "shop.dump: the command of ops.backup.before failed" in done.stderr
    assert PASSWORD not in done.stderr + done.stdout
    assert (tmp_path / "dump" / "shop.dump").read_text() == "the last one"
