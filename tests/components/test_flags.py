"""Every flag in a rendered file for Mesos, Marathon or Chronos is one that the program knows, of its type."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from constructs_lib.components.flags import known_flags
from constructs_lib.components.model import Role
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from tests.nodes.clusters import CASES, nodes, site


def of_role(role: Role) -> Iterator[NodeFiles]:
    for case in CASES:
        planned = site(case)
        yield from (files for node in nodes(planned) if (files := render(planned, node)).role is role)


def sourced(text: str) -> dict[str, str]:
    """What a real shell exports after sourcing `text`, as mesos-init-wrapper does."""
    script = "set -o errexit -o nounset -o allexport; . /dev/stdin; exec env -0"
    done = subprocess.run(
        ["bash", "-c", script],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.defpath},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry)


def mesos_flags(text: str) -> dict[str, str]:
    known = sourced(text)
    return {name[6:].lower(): value for name, value in known.items() if name.startswith("MESOS_")}


@pytest.mark.parametrize(("program", "role"), [("mesos-master", Role.MASTER), ("mesos-agent", Role.AGENT)])
def test_mesos_knows_every_flag_that_its_file_sets(program: str, role: Role) -> None:
    for files in of_role(role):
        flags = mesos_flags(files.file(f"/etc/default/{program}").content)
        assert flags["work_dir"]
        assert [
            wrong for name, value in flags.items() if (wrong := known_flags(program).wrong(name, value))
        ] == []


def test_marathon_knows_every_flag_that_its_environment_sets() -> None:
    table = known_flags("marathon")
    for files in of_role(Role.MASTER):
        lines = files.file("/etc/marathon/marathon.env").content.splitlines()
        found = dict(line.split("=", 1) for line in lines)
        flags = {name[9:].lower(): value for name, value in found.items() if name.startswith("MARATHON_")}
        assert "master" in flags
        for name, value in flags.items():
            # Without a value it is a switch that is on.
            assert table.flags[name] == "bool" if value == "" else table.wrong(name, value) == "", name
        assert set(found) - {f"MARATHON_{name.upper()}" for name in flags} == {
            "JAVA_OPTS",
            "LIBPROCESS_IP",
            "LIBPROCESS_PORT",
        }


def test_chronos_knows_every_argument_and_none_holds_a_space() -> None:
    for files in of_role(Role.MASTER):
        words = files.file("/etc/chronos/args").content.split()
        names, values = words[0::2], words[1::2]
        assert all(name.startswith("--") for name in names)
        assert [known_flags("chronos").wrong(n[2:], v) for n, v in zip(names, values, strict=True)] == [
            ""
        ] * len(names)


@pytest.mark.parametrize(
    ("flag", "value", "wrong"),
    [
        ("quorum", "2", ""),
        ("quorum", "two", "mesos-master: quorum: got 'two', expected int"),
        ("quorun", "2", "mesos-master: there is no flag quorun"),
        (
            "authenticate",
            "true",
            "mesos-master: authenticate is deprecated; it is authenticate_frameworks now",
        ),
        ("offer_timeout", "30s", "mesos-master: offer_timeout: got '30s', expected duration"),
        ("acls", "file:///etc/mesos/acls.json", ""),
        ("acls", "{", "mesos-master: acls: got '{', expected json"),
        (
            "max_executors_per_agent",
            "100",
            "mesos-master: max_executors_per_agent is known only where it was built with "
            "port mapping isolator",
        ),
    ],
)
def test_a_flag_that_is_unknown_or_of_another_type_is_told(flag: str, value: str, wrong: str) -> None:
    assert known_flags("mesos-master").wrong(flag, value) == wrong


@pytest.mark.parametrize(
    ("program", "count", "some"),
    [
        (
            "mesos-master",
            79,
            ("max_executors_per_agent", "zk", "acls", "cleanup_log_files", "ip_discovery_command"),
        ),
        ("mesos-agent", 168, ("launcher_dir", "xfs_project_range", "seccomp_profile_name", "egress_burst")),
        ("marathon", 140, ("zk", "store_cache", "killsPerBatch", "mesos_authentication_secret_file")),
        ("chronos", 62, ("zk_auth", "cassandra_ttl", "http_port", "graphite_host_port")),
    ],
)
def test_the_tables_have_every_flag_of_the_sources(program: str, count: int, some: tuple[str, ...]) -> None:
    table = known_flags(program)

    assert len(table.flags) == count
    assert set(some) <= set(table.flags)
    assert set(table.flags.values()) <= {
        "bool",
        "int",
        "float",
        "string",
        "duration",
        "bytes",
        "path",
        "json",
    }
    assert set(table.aliases.values()) | set(table.off.values()) <= set(table.flags)
