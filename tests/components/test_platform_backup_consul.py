"""A real Consul server's state, saved by its node's own scripts, lost with its disk, and restored."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from constructs_lib.components.model import Role
from tests.components.consul_here import Agent
from tests.components.platform_backup_here import Saver, files_of

pytestmark = pytest.mark.slow


@pytest.fixture
def saver(server: Agent, acl: object, tmp_path: Path) -> Saver:
    """The server's node; what it saves is new each time."""
    found = Saver(
        tmp_path,
        files_of(Role.CONSUL),
        "consul",
        {"/etc/consul/secrets": str(server.at("/etc/consul/secrets"))},
        CONSUL_HTTP_ADDR=f"http://127.0.0.1:{server.ports['http']}",
        NO_PROXY="127.0.0.1",
    )
    found.double("consul", f'exec {server.consul} "$@"')
    return found


def test_keys_come_back_to_a_server_that_lost_its_disk(server: Agent, saver: Saver) -> None:
    token = server.secret("management")
    assert server.ask("kv/shop/colour", token, "PUT", b"blue")[0] == 200
    saved, tested = saver.run("save"), saver.run("test")
    assert (saved.returncode, tested.returncode) == (0, 0), saved.stderr + tested.stderr
    server.stop()
    shutil.rmtree(server.at("/srv/data/consul"))
    server.configure(server.ports["serf_lan"])
    server.start()
    server.wait("a leader", server.has_leader)
    assert server.acl().returncode == 0
    assert server.ask("kv/shop/colour?raw", token)[0] == 404
    for time in ("once", "once more"):
        done = saver.run("restore", "consul", *(["--force"] if time == "once more" else []))
        assert done.returncode == 0, done.stderr
        server.wait("the old value", lambda: server.ask("kv/shop/colour?raw", token) == (200, "blue"))


def test_a_server_that_holds_keys_is_not_overwritten_unless_told(server: Agent, saver: Saver) -> None:
    token = server.secret("management")
    server.ask("kv/shop/colour", token, "PUT", b"blue")
    assert saver.run("save").returncode == 0
    server.ask("kv/shop/colour", token, "PUT", b"red")
    refused = saver.run("restore", "consul")
    assert refused.returncode == 1 and "a restore replaces all that it holds" in refused.stderr
    assert server.ask("kv/shop/colour?raw", token) == (200, "red")
    assert saver.run("restore", "consul", "--force").returncode == 0
    server.wait("the old value", lambda: server.ask("kv/shop/colour?raw", token) == (200, "blue"))


def test_a_server_that_does_not_answer_is_no_backup(server: Agent, saver: Saver) -> None:
    saver.environment["CONSUL_HTTP_ADDR"] = "http://127.0.0.1:1"
    assert saver.run("save").returncode == 1
    assert saver.metric("backup_success_timestamp_seconds") == 0
    assert not saver.repository.exists()


def test_a_server_that_holds_no_key_is_no_backup_and_the_last_success_stays_known(
    server: Agent, saver: Saver
) -> None:
    token = server.secret("management")
    server.ask("kv/shop/colour", token, "PUT", b"blue")
    assert saver.run("save").returncode == 0
    before = saver.metric("backup_success_timestamp_seconds")
    assert before
    server.ask("kv/?recurse", token, "DELETE")
    done = saver.run("save")
    assert done.returncode == 1 and "consul: no key is in it" in done.stderr
    assert saver.metric("backup_success_timestamp_seconds") == before and saver.metric("save_failed") == 1
    server.ask("kv/shop/colour", token, "PUT", b"blue")
    assert saver.run("save").returncode == 0
