"""clustermesos-apply run for real in a temporary root; only systemctl and the secret source are doubles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.nodes.node import CONF, PROGRAM, STAGE, SYSTEMCTL_DOUBLE, UNIT, UNIT_CHECK, Node


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
        "daemon-reload",
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
        "daemon-reload",
    ]


@pytest.mark.parametrize(
    ("before", "after", "verb"),
    [
        ('{"mtu": 1500, "mirrors": []}', '{"mtu": 1500, "mirrors": ["https://m"]}', "reload-or-restart"),
        ('{"mtu": 1500}', '{"mtu": 1500, "mirrors": ["https://m"]}', "reload-or-restart"),
        ('{"mtu": 1500, "mirrors": []}', '{"mirrors": [],\n"mtu": 1500}', "reload-or-restart"),
        # dockerd keeps the value of a setting that is not there any more.
        ('{"mtu": 1500, "mirrors": ["https://m"]}', '{"mtu": 1500}', "restart"),
        ('{"mtu": 1500, "mirrors": []}', '{"mtu": 1400, "mirrors": ["https://m"]}', "restart"),
        ("{wrong by hand", '{"mtu": 1500}', "restart"),
        (None, '{"mtu": 1500}', "restart"),
    ],
)
def test_a_change_of_live_keys_alone_is_a_reload_and_any_other_one_a_restart(
    node: Node, before: str | None, after: str, verb: str
) -> None:
    stages = [{"component": "web", "units": [UNIT], "seconds": 5, "checks": []}]
    node.send({"/etc/other": "x\n"} | ({CONF: before} if before else {}), stages=stages)
    assert node.apply("first-boot").returncode == 0
    node.calls()
    node.send(
        {"/etc/other": "x\n", CONF: after}, stages=stages, restarts={CONF: UNIT}, live={CONF: ["mirrors"]}
    )

    done = node.apply()

    assert done.returncode == 0, done.stderr
    assert [call for call in node.calls() if call.endswith(f"start {UNIT}")] == [f"{verb} {UNIT}"]


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
        "daemon-reload",
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


def test_status_is_json_before_anything_was_applied(node: Node) -> None:
    assert json.loads(node.apply("status").stdout)["wanted"] is None
