"""docs/boot-times.md says what the lab bends, and how long each component took."""

from __future__ import annotations

import pytest

from bench.boots import Boot, Boots, healthy_after, lines, not_as_on_a_cloud
from constructs_lib.simulator.programs import REAL
from scripts.progress import ROOT

LOG = """\
1795747512.100001 master-1 systemd[1]: Starting cloud-final.service...
1795747512.250000 master-1 cloud-init[301]: clustermesos-apply: wrote /etc/hosts
1795747514.750000 master-1 cloud-init[301]: clustermesos-apply: zookeeper is healthy
1795747514.900000 master-1 cloud-init[301]: clustermesos-apply: waiting at most 300 s: mesos_master: 5050
1795747517.000000 master-1 cloud-init[301]: clustermesos-apply: mesos_master is healthy
"""


def boots() -> Boots:
    bare = Boot(quorum=7.0, complete=7.0, cpu={"master-1": 2.0}, slowest="")
    ours = Boot(
        quorum=14.0,
        complete=20.0,
        cpu={"master-1": 6.0},
        slowest="08.4s (modules-final/config-scripts-user)",
        components={"master-1": healthy_after(LOG)},
    )
    return Boots(bare=[bare], cluster=[ours], load=0.5)


def test_a_component_is_timed_from_the_one_that_was_healthy_before_it() -> None:
    assert healthy_after(LOG) == {"zookeeper": 2.5, "mesos_master": 2.25}
    assert healthy_after("") == {}


def test_the_page_has_each_components_time_and_what_is_not_as_on_a_cloud() -> None:
    page = "\n".join(lines(boots()))

    assert "| master-1 | zookeeper 2.5, mesos_master 2.2 |" in page
    assert "\n".join(not_as_on_a_cloud()) in page


def test_the_page_in_the_repository_names_what_the_lab_bends_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REAL, raising=False)
    page = (ROOT / "docs" / "boot-times.md").read_text(encoding="utf-8")

    assert "\n".join(not_as_on_a_cloud()) in page
