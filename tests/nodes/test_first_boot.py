"""What cloud-init runs once and what its unit tries again."""

from __future__ import annotations

import configparser
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from constructs_lib.components.base import BASE, FIREWALL
from constructs_lib.nodes.cloud_init import APPLY, PROGRAM, UNIT, pack
from constructs_lib.nodes.generation import INCOMING
from constructs_lib.nodes.render import render
from tests.nodes.clusters import SOURCE, site
from tests.nodes.node import Node

SYSTEMCTL = '#!/bin/sh\n# Double of systemctl.\necho "systemctl $*" >>"$CALLS"\n'
PROGRAM_DOUBLE = '#!/bin/sh\n# Double of the program.\necho "program $*" >>"$CALLS"\nexit "$CODE"\n'
SYNC = "#!/bin/sh\n# Double of sync.\n"
STAGE = {"component": "web", "units": ["web.service"], "seconds": 5, "checks": ["web.service"]}


def unit() -> configparser.ConfigParser:
    planned = site("whole")
    text = render(planned, planned.nodes[0]).file(UNIT).content
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    return parser


def run_commands(folder: Path, *, code: int) -> tuple[int, list[str], str]:
    """What cloud-init's shell ends with, what was called, and the unit that was put in place."""
    planned = site("whole")
    config = yaml.safe_load(pack(render(planned, planned.nodes[0]), SOURCE))
    calls = folder / "calls"
    for name, text in (("systemctl", SYSTEMCTL), ("sync", SYNC)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    for path, text in (
        (PROGRAM, PROGRAM_DOUBLE),
        (UNIT, render(planned, planned.nodes[0]).file(UNIT).content),
    ):
        (folder / f"incoming{path}").parent.mkdir(parents=True)
        (folder / f"incoming{path}").write_text(text)
        (folder / f"root{path}").parent.mkdir(parents=True)
    lines = "\n".join(config["runcmd"])
    lines = lines.replace(f"{INCOMING}/files", f"{folder}/incoming")
    lines = lines.replace(f" {PROGRAM}", f" {folder}/root{PROGRAM}").replace(
        f"\n{PROGRAM}", f"\n{folder}/root{PROGRAM}"
    )
    lines = lines.replace(f" {UNIT}", f" {folder}/root{UNIT}")
    done = subprocess.run(
        ["sh", "-c", lines],
        check=False,
        timeout=180,
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(calls), "CODE": str(code)},
    )
    return done.returncode, calls.read_text().splitlines(), (folder / f"root{UNIT}").read_text()


SEMAPHORES = ("config_write_files", "config_runcmd", "config_scripts_user")
ENABLED = "/etc/systemd/system/multi-user.target.wants/clustermesos-apply.service"
WANTED = "/var/lib/clustermesos/wanted"


def boot_command(root: Path) -> list[str]:
    """Which of its marks cloud-init still has after what it runs first of all at every boot."""
    planned = site("whole")
    (command,) = yaml.safe_load(pack(render(planned, planned.nodes[0]), SOURCE))["bootcmd"]
    marks = root / "var/lib/cloud/instance/sem"
    marks.mkdir(parents=True, exist_ok=True)
    for name in SEMAPHORES:
        (marks / name).touch()
    here = command.replace(" /etc/", f" {root}/etc/").replace(" /var/", f" {root}/var/")
    assert subprocess.run(["sh", "-c", here], check=False, timeout=60).returncode == 0
    return sorted(path.name for path in marks.iterdir())


def test_cloud_init_begins_again_where_the_power_went_before_the_unit_was_enabled(tmp_path: Path) -> None:
    assert boot_command(tmp_path) == []


def test_cloud_init_begins_again_where_the_enabled_unit_was_not_written_out(tmp_path: Path) -> None:
    (tmp_path / ENABLED[1:]).parent.mkdir(parents=True)
    (tmp_path / ENABLED[1:]).touch()

    assert boot_command(tmp_path) == []


def test_cloud_init_leaves_a_node_with_an_enabled_unit_to_it(tmp_path: Path) -> None:
    (tmp_path / ENABLED[1:]).parent.mkdir(parents=True)
    (tmp_path / ENABLED[1:]).write_text("[Unit]\n")

    assert boot_command(tmp_path) == sorted(SEMAPHORES)


def test_cloud_init_leaves_a_node_alone_whose_unit_somebody_disabled_later(tmp_path: Path) -> None:
    (tmp_path / WANTED[1:]).parent.mkdir(parents=True)
    (tmp_path / WANTED[1:]).symlink_to("generations/4")

    assert boot_command(tmp_path) == sorted(SEMAPHORES)


def test_what_the_unit_needs_is_written_out_before_it_is_enabled() -> None:
    planned = site("whole")
    commands = yaml.safe_load(pack(render(planned, planned.nodes[0]), SOURCE))["runcmd"]
    (enable,) = (at for at, command in enumerate(commands) if command.startswith("systemctl enable"))

    assert commands[enable - 1] == commands[enable + 1] == "sync"
    assert all(command.startswith(("set", "install")) for command in commands[: enable - 1])


def test_the_unit_is_there_and_enabled_before_the_first_attempt(tmp_path: Path) -> None:
    code, calls, placed = run_commands(tmp_path, code=0)

    assert code == 0
    assert calls == ["systemctl enable --no-reload clustermesos-apply.service", "program first-boot"]
    assert "ExecStart=" in placed


def test_a_first_attempt_that_fails_is_told_by_cloud_init_and_tried_again_by_the_unit(tmp_path: Path) -> None:
    code, calls, _ = run_commands(tmp_path, code=1)

    assert code == 1
    assert calls[-1] == "systemctl start --no-block clustermesos-apply.service"


def test_the_unit_tries_until_it_succeeds_but_not_what_no_further_attempt_cures() -> None:
    service, name = unit()["Service"], unit()["Unit"]

    assert service["ExecStart"] == f"{PROGRAM} boot"
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "2"
    assert name["StartLimitIntervalSec"] == "0"
    # Nothing has to be there first: on some platforms not even the program is.
    assert not [key for key in name if key.startswith("condition")]
    assert APPLY.endswith(PROGRAM)


def test_boot_is_a_first_boot_while_nothing_was_applied(tmp_path: Path) -> None:
    node = Node(tmp_path)
    preflight = {"/usr/local/sbin/clustermesos-preflight": "echo preflight: no room; exit 1\n"}
    node.send(preflight)
    assert node.apply("boot").returncode == 1
    assert node.apply("boot").returncode == 1

    (node.state / "generations/1/files/usr/local/sbin/clustermesos-preflight").write_text("exit 0\n")
    assert node.apply("boot").returncode == 0
    (node.state / "generations/1/files/usr/local/sbin/clustermesos-preflight").write_text("exit 1\n")
    assert node.apply("boot").returncode == 0, "a node that ran goes on as well as it can"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["first-boot", "boot"])
def test_what_was_late_at_the_first_attempt_is_started_by_the_next(tmp_path: Path, command: str) -> None:
    node = Node(tmp_path)
    later = STAGE | {"component": "late", "units": ["late.service"], "checks": []}
    (node.doubles / "inactive").write_text("web.service\n")
    node.send({}, stages=[STAGE, later])
    assert node.apply(command).returncode == 3
    assert "start late.service" not in node.calls()

    (node.doubles / "inactive").unlink()
    assert node.apply("boot").returncode == 0
    assert "start late.service" in node.calls()
    assert node.status()["applied"] == 1


FILES = {file.to: file.restarts for file in BASE.files if "firewall" in file.to}
RULES = "/etc/clustermesos/firewall.nft"
CALL = '#!/bin/sh\n# Double.\necho "{name} $*" >>"$DOUBLES/calls"\n'


@pytest.fixture
def unfiltered(tmp_path: Path) -> Node:
    """A node whose first unit is the packet filter, and which lacks every package."""
    node = Node(tmp_path)
    for name in ("apt-get", "dpkg-query"):
        node.double(name, CALL.replace("{name}", name))
    stage = STAGE | {"units": [FIREWALL, "web.service"], "checks": []}
    restarts = {path: unit for path, unit in FILES.items() if unit}
    node.send(
        dict.fromkeys([*FILES, "/etc/web.conf"], "one\n"),
        restarts=restarts,
        packages=[{"names": ["chrony", "web"]}],
        stages=[stage],
    )
    return node


def test_the_firewall_filters_before_any_package_is_installed_that_may_listen(unfiltered: Node) -> None:
    assert unfiltered.apply("first-boot").returncode == 0

    words = (" install ", FIREWALL)
    done = [call for call in unfiltered.calls() if any(word in call for word in words)]
    assert [call.rpartition(" install ")[2] for call in done] == [
        "nftables",
        f"enable --no-reload {FIREWALL}",
        f"restart {FIREWALL}",
        "chrony web",
        f"enable --no-reload {FIREWALL}",
        f"start {FIREWALL}",
    ]


def test_a_power_cut_while_packages_are_installed_leaves_the_firewall_enabled(unfiltered: Node) -> None:
    unfiltered.double("apt-get", '#!/bin/sh\n# Double.\ncase "$*" in *chrony*) kill -9 "$PPID" ;; esac\n')

    assert unfiltered.apply("first-boot").returncode == -9

    assert f"enable --no-reload {FIREWALL}" in unfiltered.calls()
    assert RULES in FILES
    assert [path for path in FILES if not unfiltered.at(path).exists()] == []
    assert not unfiltered.at("/etc/web.conf").exists()


def test_a_node_that_runs_keeps_its_rules_until_all_is_installed(unfiltered: Node) -> None:
    assert unfiltered.apply("first-boot").returncode == 0
    unfiltered.calls()
    unfiltered.double("dpkg-query", "#!/bin/sh\n# Double.\ncase $4 in nftables) echo installed 1 ;; esac\n")
    unfiltered.double("apt-get", "#!/bin/sh\n# Double.\necho 'E: no mirror' >&2\nexit 100\n")
    unfiltered.send(dict.fromkeys(FILES, "two\n"), packages=[{"names": ["new"]}])

    assert unfiltered.apply().returncode == 1

    assert unfiltered.at(RULES).read_text() == "one\n"
    assert not [call for call in unfiltered.calls() if FIREWALL in call]
