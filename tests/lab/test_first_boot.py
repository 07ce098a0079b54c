"""The first boot: every node healthy from its user data alone, one quorum, and firewalls that are shut."""

from __future__ import annotations

import json
from functools import partial

import pytest

from constructs_lib.lab.keeper import KeptLab
from constructs_lib.lab.network import STRANGER
from constructs_lib.lab.overrides import read_overrides
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from scripts.drills import Run
from tests.lab.asking import LONG, reaches, says, until

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]


def test_the_first_boot_of_all_machines_completed_with_nothing_rebuilt(
    shared_lab: KeptLab, this_run: Run
) -> None:
    record = json.loads((this_run.folder / "first_boot.json").read_text())

    assert record["passed"]
    assert record["run"] == this_run.id
    assert record["seen"][0].startswith(f"{len(shared_lab.names())} nodes healthy")


def test_no_unit_fails_on_any_node(lab: KeptLab) -> None:
    for name in lab.names():
        assert lab.run(name, "systemctl", "--failed", "--plain", "--no-legend").out == "", name


def test_node_firewalls_let_in_who_is_declared_and_nobody_else(lab: KeptLab) -> None:
    master = lab.identity("master-1")
    for source, port in (("master-2", 3888), ("general-1", 2181), ("gateway-1", 22)):
        until(f"{source} reaches port {port}", LONG, partial(reaches, lab, source, str(master.address), port))
    assert not reaches(lab, "general-1", str(master.address), 3888)
    assert not reaches(lab, "gateway-1", str(master.address), 2181)
    assert not reaches(lab, STRANGER, str(master.address), 22)


def test_a_node_asks_for_its_own_secrets_and_gets_no_others(lab: KeptLab) -> None:
    assert lab.run("general-1", "ls", "/srv/lab/secrets").out.split().count("zookeeper_super_password") == 0
    assert lab.identity("master-1").secrets == {}


NEWER = r"""
set -eu
mkdir -p /srv/newer/$1/DEBIAN && cd /srv/newer
said='Package: %s\nVersion: 1:99\nArchitecture: all\nMaintainer: lab\nDescription: newer\n'
printf "$said" $1 >$1/DEBIAN/control
dpkg-deb --build $1 $1.deb >/dev/null
sum() { sha256sum $1 | cut -d' ' -f1; }
size() { stat -c %s $1; }
cat $1/DEBIAN/control >>Packages
printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' $1.deb $(size $1.deb) $(sum $1.deb) >>Packages
printf 'Origin: newer\nSHA256:\n %s %s Packages\n' $(sum Packages) $(size Packages) >Release
echo 'deb [trusted=yes] file:/srv/newer ./' >/etc/apt/sources.list.d/newer.list
echo 'Unattended-Upgrade::Origins-Pattern { "origin=newer"; };' >/etc/apt/apt.conf.d/99newer
"""
"""Puts an empty package of a higher version into a repository of the machine's own, for nightly upgrades."""


def test_an_upgrade_of_everything_leaves_docker_at_its_version(lab: KeptLab) -> None:
    """By what upgrades nodes at night; another package shows that it would have come."""
    for name in ("master-1", "consul-1", "general-1"):
        assert "docker.io" in says(lab, name, "apt-mark", "showhold").split(), name
    agent, other = "general-1", "unzip"
    version = ("dpkg-query", "-W", "-f", "${Version}")
    docker, before = (says(lab, agent, *version, package) for package in ("docker.io", other))
    try:
        for package in ("docker.io", other):
            says(lab, agent, "sh", "-c", NEWER, "sh", package)
        says(lab, agent, "apt-get", "-q", "update")
        says(lab, agent, "unattended-upgrade")
        assert says(lab, agent, *version, other) == "1:99"
        assert says(lab, agent, *version, "docker.io") == docker
        assert says(lab, agent, "systemctl", "is-active", "docker.service") == "active"
    finally:
        says(lab, agent, "sh", "-c", "rm -r /srv/newer /etc/apt/*/*newer*; apt-get -q update")
        says(lab, agent, "apt-get", "-q", "-y", "--allow-downgrades", "install", f"{other}={before}")


def test_a_container_at_dockers_bridge_has_the_mtu_of_the_plan(lab: KeptLab, workspace: Workspace) -> None:
    planned = plan(read_overrides().apply(load(workspace.cluster_file)))
    mtu = "docker run --rm drill /bin/busybox cat /sys/class/net/eth0/mtu"
    box = "tar -c -C / bin/busybox | docker import - drill >/dev/null"

    assert says(lab, "general-1", "sh", "-c", f"{box} && {mtu}") == str(planned.site("eu").container_mtu)
    assert planned.site("eu").container_mtu != 1500


def test_a_task_on_an_agent_can_have_a_virtual_environment_of_its_own(lab: KeptLab) -> None:
    make = "cd $(mktemp -d) && python3 -m venv own && own/bin/python -m pip --version && pwd"

    said, folder = says(lab, "general-1", "sh", "-c", make).splitlines()
    assert f"from {folder}/own/" in said
