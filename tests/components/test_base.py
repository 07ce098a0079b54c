"""What every node gets, read by the programs that read it there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from constructs_lib.components.model import Role
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import NODE_ADDRESS, NODE_NAME, render
from tests.conftest import need
from tests.nodes.clusters import CASES, KEY, nodes, site

DROP_IN = "/etc/ssh/sshd_config.d/10-clustermesos.conf"


def every_node() -> list[NodeFiles]:
    return [render(site(case), node) for case in CASES for node in nodes(site(case))]


def test_a_nodes_own_name_is_its_planned_address_and_never_a_loopback_one() -> None:
    planned = site("whole")
    for node in planned.nodes:
        lines = render(planned, node).file("/etc/hosts").content.splitlines()
        assert f"{node.address} {node.name}" in lines
        assert [line for line in lines if line.startswith("127.")] == ["127.0.0.1 localhost"]
        assert all(f"{other.address} {other.name}" in lines for other in planned.nodes)


def test_agents_leave_their_name_and_address_to_be_filled_in_on_the_node() -> None:
    planned = site("whole")
    files = render(planned, planned.pools[0])

    assert f"{NODE_ADDRESS} {NODE_NAME}" in files.file("/etc/hosts").content.splitlines()
    assert (
        files.file("/etc/clustermesos/node.env").content
        == f"NODE_NAME={NODE_NAME}\nNODE_ADDRESS={NODE_ADDRESS}\n"
    )


def test_only_planned_nodes_with_a_data_volume_look_for_one() -> None:
    for files in every_node():
        assert (files.data_volume is not None) == (files.role in (Role.MASTER, Role.CONSUL))


def test_the_admins_keys_are_a_file_that_later_generations_can_change() -> None:
    planned = site("whole")
    file = render(planned, planned.nodes[0]).file("/home/deploy/.ssh/authorized_keys")

    assert (file.owner, file.group, file.mode) == ("deploy", "deploy", 0o600)
    assert KEY in file.content.splitlines()


def test_only_the_gateway_has_the_planned_host_key_and_no_file_holds_it() -> None:
    for files in every_node():
        secrets = [secret.path for secret in files.secrets]
        wants = "HostKey" in files.file(DROP_IN).content
        assert wants == ("/etc/ssh/clustermesos_host_ed25519_key" in secrets) == (files.role is Role.GATEWAY)


def test_sshd_itself_accepts_the_settings_and_they_win(tmp_path: Path) -> None:
    sshd = need("sshd")
    key = tmp_path / "key"
    subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    for files in every_node():
        config = tmp_path / "sshd_config"
        text = files.file(DROP_IN).content.replace("/etc/ssh/clustermesos_host_ed25519_key", str(key))
        config.write_text(f"{text}\nHostKey {key}\nPasswordAuthentication yes\nPermitRootLogin yes\n")
        done = subprocess.run([sshd, "-T", "-f", str(config)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "passwordauthentication no" in done.stdout
        assert "permitrootlogin no" in done.stdout


def test_apt_itself_reads_the_settings_for_security_updates(tmp_path: Path) -> None:
    config = tmp_path / "52clustermesos"
    config.write_text(every_node()[0].file("/etc/apt/apt.conf.d/52clustermesos").content)

    done = subprocess.run(
        [need("apt-config"), "-c", str(config), "dump"], capture_output=True, text=True, check=True
    )

    assert 'APT::Periodic::Unattended-Upgrade "1";' in done.stdout
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in done.stdout


AS_NEEDRESTART = """
our %nrconf = (override_rc => {qr(^dbus) => 0});
eval do { local(@ARGV, $/) = shift; <> };
die $@ if $@;
while (my $unit = <STDIN>) { print $unit if grep { $unit =~ /$_/ } keys %{$nrconf{override_rc}} }
"""
"""What needrestart (3.6) does with a file of conf.d, and with the units that it would restart."""
ALONE = {"chrony.service", "prometheus-node-exporter.service", "rsyslog.service", "systemd-resolved.service"}
"""The distribution's, whose restart nobody notices."""
NO_LIBRARY = {"consul.service", "consul-template.service", "edge-state.service", "registrator.service"}
"""One program without libraries, or a script."""


def test_no_library_that_is_updated_at_night_restarts_the_quorum_tasks_or_edges(tmp_path: Path) -> None:
    perl, config = need("perl"), tmp_path / "clustermesos.conf"
    for files in (one for one in every_node() if one.role in (Role.MASTER, Role.AGENT, Role.EDGE)):
        units = {unit for stage in files.stages for unit in stage.units if unit.endswith(".service")}
        running = {unit for unit in units if "RemainAfterExit" not in _unit(files, unit)}
        config.write_text(files.file("/etc/needrestart/conf.d/clustermesos.conf").content)
        said = "".join(f"{unit}\n" for unit in sorted(running))
        done = subprocess.run(
            [perl, "-we", AS_NEEDRESTART, config], input=said, capture_output=True, text=True, check=True
        )
        assert running - set(done.stdout.split()) <= ALONE | NO_LIBRARY
        assert not ALONE & set(done.stdout.split())


def _unit(files: NodeFiles, unit: str) -> str:
    """The text of its own file; empty for a package's."""
    path = f"/etc/systemd/system/{unit}"
    return next((file.content for file in files.files if file.path == path), "")


def test_systemd_itself_finds_nothing_wrong_in_any_unit(tmp_path: Path) -> None:
    analyze = need("systemd-analyze")
    units: dict[str, str] = {}
    for files in every_node():
        for file in files.files:
            if file.path.startswith("/etc/systemd/system/") and file.path.endswith(".service"):
                units.setdefault(f"{files.cluster}-{files.name}/{file.path.rsplit('/', 1)[1]}", file.content)
    for number, text in enumerate(sorted(set(units.values()))):
        path = tmp_path / f"unit{number}.service"
        # What they start doesn't exist on this machine.
        path.write_text(re.sub(r"(?m)^(Exec\w+=[-+]?)/\S+", r"\1/bin/true", text))
        done = subprocess.run([analyze, "verify", str(path)], capture_output=True, text=True, check=False)
        assert path.name not in done.stderr, done.stderr
        assert done.returncode == 0, done.stderr


SCRIPTS = Path(__file__).parents[2] / "cloud-init" / "base"


@pytest.mark.parametrize("tool", ["mypy", "ruff"])
def test_the_nodes_scripts_pass_the_same_checks_as_the_library(tool: str, tmp_path: Path) -> None:
    for module in (SCRIPTS / "program").glob("*.py"):
        shutil.copy(module, tmp_path)
    root = SCRIPTS.parents[1]
    # They print, run as root and stand in no package.
    ignored = "T20,S,INP,E402,I001,N818,D"
    config = str(root / "pyproject.toml")
    arguments = {
        "mypy": [
            "-m",
            "mypy",
            "--strict",
            "--python-version",
            "3.11",
            "--cache-dir",
            str(tmp_path / "cache"),
            ".",
        ],
        "ruff": ["-m", "ruff", "check", "--no-cache", "--config", config, "--extend-ignore", ignored, "."],
    }[tool]
    import sys

    done = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_shellcheck_finds_nothing_in_the_shell_scripts_as_they_are_put_on_nodes(tmp_path: Path) -> None:
    texts = {(file.path, file.content) for files in every_node() for file in files.files}
    scripts = [(path, text) for path, text in sorted(texts) if text.startswith("#!/bin/sh")]
    assert scripts
    for number, (path, text) in enumerate(scripts):
        (tmp_path / f"{number}-{path.rpartition('/')[2]}").write_text(text)
    written = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run([need("shellcheck"), *written], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
