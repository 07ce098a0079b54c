"""clustermesos-apply run for real in a temporary root; only systemctl and the secret source are doubles."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.nodes.node import OWNER, PROGRAM, SYSTEMCTL_DOUBLE, Node

UNIT = "web.service"
CONF = "/etc/web/web.conf"
STAGE = {"component": "web", "units": [UNIT], "seconds": 5, "checks": []}
UNIT_CHECK = [UNIT]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_files_are_put_in_place_with_their_mode_and_the_generation_is_kept(node: Node) -> None:
    node.send({CONF: "one\n"})

    done = node.apply("first-boot")

    assert done.returncode == 0, done.stderr
    assert node.at(CONF).read_text() == "one\n"
    assert node.at(CONF).stat().st_mode & 0o7777 == 0o640
    assert not (node.state / "incoming").exists()
    assert node.status() == {
        "wanted": 1,
        "applied": 1,
        "generations": [1],
        "pending": {"restarts": [], "reloads": []},
        "units": {},
    }


def test_a_second_run_changes_nothing_and_restarts_nothing(node: Node) -> None:
    node.send({CONF: "one\n"}, restarts={CONF: UNIT}, stages=[STAGE])
    node.apply("first-boot")
    before = node.at(CONF).stat().st_mtime_ns
    node.calls()

    node.send({CONF: "one\n"}, restarts={CONF: UNIT}, stages=[STAGE])
    done = node.apply()

    assert done.returncode == 0, done.stderr
    assert node.at(CONF).stat().st_mtime_ns == before
    assert f"restart {UNIT}" not in node.calls()
    assert node.status()["generations"] == [1]


def test_only_units_whose_files_changed_are_restarted(node: Node) -> None:
    other = {"component": "db", "units": ["db.service"], "seconds": 5, "checks": []}
    restarts = {CONF: UNIT, "/etc/db.conf": "db.service"}
    node.send({CONF: "one\n", "/etc/db.conf": "same\n"}, restarts=restarts, stages=[STAGE, other])
    node.apply("first-boot")
    node.calls()

    node.send({CONF: "two\n", "/etc/db.conf": "same\n"}, restarts=restarts, stages=[STAGE, other])
    node.apply()

    assert node.calls() == [
        "daemon-reload",
        f"enable --no-reload {UNIT}",
        f"restart {UNIT}",
        "enable --no-reload db.service",
        "start db.service",
    ]


def test_a_reload_is_enough_where_the_file_says_so_and_a_unit_outside_any_stage_is_reached(
    node: Node,
) -> None:
    node.send(
        {CONF: "one\n", "/etc/ssh.conf": "a\n"},
        reloads={CONF: UNIT, "/etc/ssh.conf": "ssh.service"},
        stages=[STAGE],
    )

    node.apply("first-boot")

    assert node.calls() == [
        "daemon-reload",
        "show -P LoadState ssh.service",
        "try-reload-or-restart ssh.service",
        f"enable --no-reload {UNIT}",
        f"reload-or-restart {UNIT}",
    ]


@pytest.mark.parametrize("kind", ["restarts", "reloads"])
def test_a_unit_that_this_node_does_not_have_is_not_restarted_and_stops_nothing(
    node: Node, kind: str
) -> None:
    (node.doubles / "absent").write_text("other.service\n")
    (node.doubles / "fail").write_text("try-restart other.service\ntry-reload-or-restart other.service\n")
    node.send({CONF: "one\n"}, **{kind: {CONF: "other.service"}}, stages=[STAGE])

    done = node.apply("first-boot")

    assert done.returncode == 0, done.stderr
    assert node.calls() == [
        "daemon-reload",
        "show -P LoadState other.service",
        f"enable --no-reload {UNIT}",
        f"start {UNIT}",
    ]
    assert node.status()["pending"] == {"restarts": [], "reloads": []}


def test_a_component_without_units_or_checks_is_nothing_to_wait_for(node: Node) -> None:
    node.send({CONF: "one\n"}, stages=[{"component": "files", "units": [], "seconds": 5, "checks": []}])

    assert node.apply("first-boot").returncode == 0
    assert node.apply("health").stdout == "[]\n"


def test_health_tells_of_every_check_and_ends_with_1_when_one_fails(node: Node) -> None:
    node.send({CONF: "one\n"}, stages=[STAGE | {"checks": UNIT_CHECK}])
    node.apply("first-boot")
    healthy = {"component": "web", "check": "unit_active", "healthy": True, "wrong": ""}

    assert json.loads(node.apply("health").stdout) == [healthy]

    (node.doubles / "inactive").write_text(f"{UNIT}\n")
    done = node.apply("health")
    assert done.returncode == 1
    assert json.loads(done.stdout) == [healthy | {"healthy": False, "wrong": f"{UNIT} is inactive"}]
    assert node.apply("health", more=("--brief",)).stdout == f"{UNIT} is inactive\n"


def test_what_is_no_longer_rendered_is_removed_and_the_distributions_file_comes_back(node: Node) -> None:
    original = node.at("/etc/hosts")
    original.parent.mkdir(parents=True)
    original.write_text("from the distribution\n")
    unit = "/etc/systemd/system/old.service"
    node.send({CONF: "one\n", "/etc/hosts": "ours\n", unit: "[Unit]\n"})
    node.apply("first-boot")
    assert original.read_text() == "ours\n"
    node.calls()

    node.send({CONF: "one\n"})
    done = node.apply()

    assert done.returncode == 0, done.stderr
    assert original.read_text() == "from the distribution\n"
    assert not node.at(unit).exists()
    assert "disable --now old.service" in node.calls()


def test_rollback_applies_the_former_generation_and_rolls_back_from_a_failed_one(node: Node) -> None:
    node.send({CONF: "one\n"}, restarts={CONF: UNIT}, stages=[STAGE])
    node.apply("first-boot")
    node.send({CONF: "two\n", "/etc/extra": "x\n"}, restarts={CONF: UNIT}, stages=[STAGE])
    node.apply()

    assert node.apply("rollback").returncode == 0
    assert node.at(CONF).read_text() == "one\n"
    assert not node.at("/etc/extra").exists()
    assert f"restart {UNIT}" in node.calls()

    (node.doubles / "inactive").write_text(f"{UNIT}\n")
    node.send({CONF: "three\n"}, stages=[STAGE | {"checks": UNIT_CHECK}])
    assert node.apply().returncode == 3
    assert node.apply("rollback").returncode == 0
    assert node.at(CONF).read_text() == "one\n"
    assert node.status()["applied"] == node.status()["wanted"] == 1


def test_rollback_without_a_former_generation_says_so(node: Node) -> None:
    node.send({CONF: "one\n"})
    node.apply("first-boot")

    done = node.apply("rollback")

    assert done.returncode == 2
    assert done.stderr == "clustermesos-apply: error: there is no former generation to go back to\n"


def test_only_a_few_generations_are_kept_and_the_former_is_among_them(node: Node) -> None:
    for number in range(8):
        node.send({CONF: f"{number}\n"})
        assert node.apply().returncode == 0

    assert node.status()["generations"] == [4, 5, 6, 7, 8]
    assert node.apply("rollback").returncode == 0
    assert node.at(CONF).read_text() == "6\n"


def test_an_unhealthy_component_stops_the_next_ones_and_says_what_it_waited_for(node: Node) -> None:
    (node.doubles / "inactive").write_text(f"{UNIT}\n")
    second = {"component": "late", "units": ["late.service"], "seconds": 5, "checks": []}
    node.send({CONF: "one\n"}, stages=[STAGE | {"checks": UNIT_CHECK}, second])

    done = node.apply("first-boot")

    assert done.returncode == 3
    assert done.stderr == (
        "clustermesos-apply: error: web is not healthy: web.service is inactive; gave up after 1 s\n"
    )
    assert "enable --no-reload late.service" not in node.calls()
    assert node.status()["applied"] is None


def test_while_one_check_of_a_component_fails_the_ones_after_it_are_not_made(node: Node) -> None:
    (node.doubles / "inactive").write_text(f"{UNIT}\n")
    second = {"kind": "succeeds", "command": ["systemctl", "is-system-running"]}
    node.send({CONF: "one\n"}, stages=[STAGE | {"checks": [*UNIT_CHECK, second]}])

    assert node.apply("first-boot").returncode == 3
    assert "is-system-running" not in node.calls()
    assert len(json.loads(node.apply("health").stdout)) == 2


def test_init_scripts_beside_a_unit_are_not_enabled_since_each_reloads_systemd_twice(node: Node) -> None:
    node.double("systemctl", SYSTEMCTL_DOUBLE + 'echo "skips $SYSTEMCTL_SKIP_SYSV" >>"$DOUBLES/calls"\n')
    node.send({CONF: "one\n"}, stages=[STAGE])

    assert node.apply("first-boot").returncode == 0
    calls = node.calls()
    assert calls[calls.index(f"enable --no-reload {UNIT}") + 1] == "skips 1"


def test_a_failing_unit_is_one_line_and_its_restart_is_not_forgotten(node: Node) -> None:
    node.send({CONF: "one\n"}, restarts={CONF: UNIT}, stages=[STAGE])
    (node.doubles / "fail").write_text(f"restart {UNIT}\n")

    done = node.apply("first-boot")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"clustermesos-apply: error: systemctl restart {UNIT} failed; "
        "its journal ends with: first | last words"
    ]
    (node.doubles / "fail").unlink()
    node.calls()
    assert node.apply("boot").returncode == 0
    assert f"restart {UNIT}" in node.calls()


def test_secrets_come_from_the_source_in_a_file_of_their_own_and_are_never_printed(node: Node) -> None:
    node.secret("password", "hunter2-value\n")
    node.secret("host_key", "-----BEGIN KEY-----\nabc\n-----END KEY-----")
    secrets = [
        {
            "name": "password",
            "path": "/etc/web/password",
            "owner": "root",
            "newline": False,
            "restarts": UNIT,
        },
        {"name": "host_key", "path": "/etc/ssh/key", "owner": "root", "newline": True},
    ]
    secrets = [secret | {"owner": OWNER} for secret in secrets]
    node.send({CONF: "one\n"}, secrets=secrets, stages=[STAGE])

    done = node.apply("first-boot")

    assert done.returncode == 0, done.stderr
    assert node.at("/etc/web/password").read_bytes() == b"hunter2-value"
    assert node.at("/etc/ssh/key").read_bytes().endswith(b"-----END KEY-----\n")
    assert node.at("/etc/web/password").stat().st_mode & 0o7777 == 0o600
    assert "hunter2" not in done.stdout + done.stderr
    assert f"restart {UNIT}" in node.calls()
    kept = [path for path in node.state.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert kept == []


def test_a_rotated_secret_is_fetched_by_apply_but_a_reboot_needs_no_source(node: Node) -> None:
    secret = {"name": "password", "path": "/etc/web/password", "owner": OWNER, "newline": False}
    node.secret("password", "old")
    node.send({CONF: "one\n"}, secrets=[secret])
    node.apply("first-boot")

    node.secret("password", "new")
    assert node.apply("apply").returncode == 0
    assert node.at("/etc/web/password").read_text() == "new"

    (node.doubles / "secrets" / "password").unlink()
    assert node.apply("boot").returncode == 0
    assert node.at("/etc/web/password").read_text() == "new"


def test_a_source_that_gives_no_secret_ends_before_anything_is_written(node: Node) -> None:
    secret = {"name": "password", "path": "/etc/web/password", "owner": OWNER, "newline": False}
    node.send({CONF: "one\n"}, secrets=[secret])

    done = node.apply("first-boot")

    assert done.returncode == 1
    assert done.stderr == (
        f"clustermesos-apply: error: secret password: {node.doubles}/get-secret ended with 1 "
        "and gave no value; gave up after 1 s\n"
    )
    assert not node.at(CONF).exists()


def test_files_learn_the_nodes_own_name_and_address_where_they_are_put_in_place(node: Node) -> None:
    node.send({"/etc/node.env": "NAME=@@node:name@@\nADDRESS=@@node:address@@\n"})

    done = node.apply("first-boot")

    lines = dict(line.split("=") for line in node.at("/etc/node.env").read_text().splitlines())
    assert done.returncode == 0, done.stderr
    assert lines["NAME"] == os.uname().nodename
    assert lines["ADDRESS"].count(".") == 3
    assert not lines["ADDRESS"].startswith("127.")


def test_the_installed_script_puts_the_same_files_in_place_as_the_one_that_came_first(node: Node) -> None:
    script = "/usr/local/sbin/clustermesos-apply"
    files = {script: PROGRAM.read_text()}
    node.send(files | {"/etc/node.env": "@@node:name@@ @@node:address@@\n"})
    node.apply("first-boot")
    first = {path: node.at(path).read_text() for path in (script, "/etc/node.env")}

    again = [sys.executable, str(node.at(script)), "boot", "--root", str(node.root)]
    done = subprocess.run(again, capture_output=True, text=True, check=False, env=node.environment())

    assert done.returncode == 0, done.stderr
    assert "wrote" not in done.stdout
    assert first[script] == files[script]
    assert {path: node.at(path).read_text() for path in first} == first


@pytest.mark.parametrize("files", [5, 20])
def test_a_run_that_is_killed_half_way_is_healed_by_the_next(node: Node, files: int) -> None:
    old = {f"/etc/web/{number}.conf": f"old {number}\n" for number in range(40)}
    new = {path: text.replace("old", "new") for path, text in old.items()}
    units = dict.fromkeys(old, UNIT)
    node.send(old, restarts=units, stages=[STAGE])
    assert node.apply("first-boot").returncode == 0
    node.calls()

    node.send(new, restarts=units, stages=[STAGE])
    kill_after(node, files)

    states = {node.at(path).read_text() for path in old}
    assert states <= set(old.values()) | set(new.values())
    assert any(node.at(path).read_text() == old[path] for path in old), "killed too late to prove anything"
    assert node.calls() == []
    again = node.apply("boot")
    assert again.returncode == 0, again.stderr
    assert all(node.at(path).read_text() == text for path, text in new.items())
    assert f"restart {UNIT}" in node.calls()
    assert list(node.at("/etc/web").glob(".*")) == []


def test_a_crash_before_the_generation_has_its_number_loses_nothing(node: Node) -> None:
    node.send({CONF: "one\n"})
    (node.state / "generations").mkdir(parents=True)
    (node.state / "wanted").symlink_to("generations/1")

    assert node.apply("boot").returncode == 0
    assert node.at(CONF).read_text() == "one\n"
    assert node.status()["applied"] == 1


def test_a_generation_that_did_not_arrive_whole_is_refused_and_the_node_stays(node: Node) -> None:
    node.send({CONF: "one\n"})
    node.apply("first-boot")
    node.send({CONF: "two\n", "/etc/lost": "x\n"})
    (node.state / "incoming/files/etc/lost").unlink()

    done = node.apply()

    assert done.returncode == 2
    assert "missing: ['/etc/lost']" in done.stderr
    assert done.stderr.count("\n") == 1
    assert node.at(CONF).read_text() == "one\n"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 1}', '{"format": 2, "files": [], "secrets": []}']
)
def test_a_manifest_that_cannot_be_read_is_one_line(node: Node, text: str) -> None:
    incoming = node.state / "incoming"
    incoming.mkdir(parents=True)
    (incoming / "manifest.json").write_text(text)

    done = node.apply()

    assert done.returncode == 2
    assert done.stderr.startswith("clustermesos-apply: error: ")
    assert done.stderr.count("\n") == 1


def test_a_reboot_while_a_generation_arrives_brings_up_the_one_before(node: Node) -> None:
    node.send({CONF: "one\n"})
    node.apply("first-boot")
    node.send({CONF: "two\n"})
    (node.state / "incoming/manifest.json").unlink()

    assert node.apply("apply").returncode == 2
    assert node.apply("boot").returncode == 0
    assert node.at(CONF).read_text() == "one\n"


def test_nothing_to_apply_says_so(node: Node) -> None:
    done = node.apply()

    assert done.returncode == 2
    assert "nothing to apply" in done.stderr


def test_a_path_that_cannot_be_written_is_named(node: Node) -> None:
    node.at("/etc").mkdir()
    node.at("/etc/web").write_text("a file where a folder has to be")
    node.send({CONF: "one\n"})

    done = node.apply("first-boot")

    assert done.returncode == 1
    assert done.stderr == (
        f"clustermesos-apply: error: cannot write {CONF}: File exists: {node.at('/etc/web')}\n"
    )


def test_two_runs_at_once_do_not_mix(node: Node) -> None:
    node.send({CONF: "one\n"}, stages=[STAGE | {"checks": UNIT_CHECK, "seconds": 300}])
    (node.doubles / "inactive").write_text(f"{UNIT}\n")
    first = subprocess.Popen(
        node.command("first-boot", patience=300),
        env=node.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for((node.state / "generations" / "1").exists)

    second = node.apply()

    (node.doubles / "inactive").unlink()
    assert second.returncode == 1
    assert "another clustermesos-apply runs" in second.stderr
    first.communicate(timeout=300)
    assert first.returncode == 0


@pytest.mark.root
def test_a_full_disk_leaves_the_old_file_as_it_was(node: Node) -> None:
    small = node.at("/etc/web")
    small.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        node.send({CONF: "old\n"})
        assert node.apply("first-boot").returncode == 0
        node.send({CONF: "x" * 200_000})

        done = node.apply()

        assert done.returncode == 1
        assert done.stderr.startswith(
            f"clustermesos-apply: error: cannot write {CONF}: No space left on device"
        )
        assert node.at(CONF).read_text() == "old\n"
        assert list(small.glob(".*")) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


KILLED = """
import builtins, os, runpy, signal, sys
left, real = int(sys.argv[1]), print
def counted(*words, **options):
    global left
    real(*words, **options)
    left -= "wrote" in str(words)
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
builtins.print = counted
del sys.argv[:2]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Whoever reads what it says, and kills it then, may come too late."""


def kill_after(node: Node, files: int) -> None:
    """SIGKILL as soon as the run has said that it wrote so many files."""
    command = [sys.executable, "-c", KILLED, str(files), *node.command("apply")[1:]]
    done = subprocess.run(
        command, env=node.environment(), capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout.count("wrote") == files


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < end, "waited 120 s in vain"
        time.sleep(0.05)


def test_status_is_json_before_anything_was_applied(node: Node) -> None:
    assert json.loads(node.apply("status").stdout)["wanted"] is None
