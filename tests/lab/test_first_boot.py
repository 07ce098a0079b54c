"""The first boot: every node healthy from its user data alone, one quorum, and firewalls that are shut."""

from __future__ import annotations

import json
from functools import partial

import pytest

from constructs_lib.lab.keeper import KeptLab
from constructs_lib.lab.network import STRANGER
from scripts.drills import Run
from tests.lab.asking import LONG, reaches, until

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
