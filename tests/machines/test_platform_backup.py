"""Backups of the platform's own state, by the units of machines that booted with them."""

from __future__ import annotations

import json

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import CLIENT, LONG, SECRETS, says, until
from tests.machines.registry_of import push

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
STATES = {"consul-1": ("consul", "registry"), "master-1": ("zookeeper",)}
PASSWORD = "/etc/clustermesos/platform-backup/RESTIC_PASSWORD"
LIST = """
cd /etc/clustermesos/platform-backup
for name in *; do export "$name=$(cat "$name")"; done
restic --no-lock -r s3:http://10.67.0.1:5000/saved/booted/_platform/eu/{node} snapshots --json
"""
METRICS = "/var/lib/prometheus/node-exporter"


def saved(lab: KeptLab, node: str) -> list[str]:
    """The tags of the snapshots in the node's own repository."""
    listed = says(lab, node, "sh", "-c", LIST.format(node=node))
    return sorted({tag for one in json.loads(listed) for tag in one["tags"]})


def metric(lab: KeptLab, node: str, name: str, state: str) -> float:
    said = says(lab, node, "sh", "-c", f"cat {METRICS}/platform-*.prom")
    [line] = [line for line in said.splitlines() if line.startswith(f'{name}{{state="{state}"}}')]
    return float(line.split()[-1])


def with_an_application(lab: KeptLab) -> None:
    """ZooKeeper as it is once Marathon keeps one: the double of it keeps none there."""
    password = says(lab, "master-1", "cat", "/etc/zookeeper/super-password")
    parts = ("marathon", "state", "apps", "e", "shop")
    nodes = [f"/{'/'.join(parts[: n + 1])}" for n in range(len(parts))]
    asked = "".join(f"create {node} x\n" for node in nodes)

    def made() -> bool:
        login = f"addauth digest super:{password}\n"
        done = lab.run("master-1", *CLIENT, stdin=f"{login}{asked}get {nodes[-1]}\nquit\n", timeout=LONG)
        return "x" in done.out.splitlines()

    until("ZooKeeper keeps an application", LONG, made)


def test_the_timers_of_a_node_that_booted_are_armed(machines: KeptLab) -> None:
    for node in STATES:
        for timer in ("platform-backup.timer", "platform-backup-test.timer"):
            assert says(machines, node, "systemctl", "is-active", timer) == "active"
            assert says(machines, node, "systemctl", "is-enabled", timer) == "enabled"


def test_their_units_save_each_state_and_prove_that_it_comes_back(machines: KeptLab) -> None:
    put = f"CONSUL_HTTP_TOKEN_FILE={SECRETS}/management consul kv put shop/colour blue"
    until("a key is taken", LONG, lambda: says(machines, "consul-1", "sh", "-c", put))
    push(machines, "lab/saved:1")
    with_an_application(machines)
    for node, states in STATES.items():
        says(machines, node, "systemctl", "start", "platform-backup.service")
        assert saved(machines, node) == list(states)
        says(machines, node, "systemctl", "start", "platform-backup-test.service")
        for state in states:
            for name in ("backup_success", "restore_verified"):
                assert metric(machines, node, f"clustermesos_platform_{name}_timestamp_seconds", state) > 0
        left = says(machines, node, "ls", "/srv/data/platform-backup")
        assert left == "lock"


def test_what_is_saved_opens_for_nobody_but_root(machines: KeptLab) -> None:
    for node in STATES:
        modes = says(machines, node, "stat", "--format=%a %U", PASSWORD, "/srv/data/platform-backup")
        assert modes.splitlines() == ["600 root", "700 root"]
