"""What is told of the platform's own backups; the questions are answered by a real Prometheus."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.platform_backups import SavedState, platform_backups
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from scripts.embedded_aws import free_port
from tests.components.platform_backup_here import FIELDS
from tests.conftest import need
from tests.hooks.scripted_server import Asked, Says, scripted
from tests.nodes.clusters import WHOLE

PLAN = plan(ClusterSpec.model_validate(WHOLE | FIELDS))
SITE = PLAN.site("eu")
NOW = 1_800_000_000.0
HOUR = 3600.0
JOURNAL = "ssh -F .clustermesos/ssh_config consul-1.eu sudo journalctl -u"


def state(**fields: Any) -> SavedState:
    return replace(SavedState(state="consul", node="consul-1.eu", told=True), **fields)


def said(one: SavedState) -> tuple[str, str]:
    verdict = one.verdict(NOW)
    return verdict.mark, verdict.says


def test_a_backup_is_green_once_a_restore_was_verified() -> None:
    assert said(state(saved=NOW - HOUR, proved=NOW - 20 * HOUR)) == (
        "ok",
        "last succeeded 2027-01-15T07:00:00Z; proved by a restore 2027-01-14T12:00:00Z",
    )
    unproved = state(saved=NOW - HOUR)
    assert said(unproved) == ("?", "last succeeded 2027-01-15T07:00:00Z; no restore has proved it yet")
    assert str(unproved.verdict(NOW).try_next).endswith("sudo systemctl start platform-backup-test")


def test_a_proof_of_long_ago_is_none() -> None:
    mark, says = said(state(saved=NOW - HOUR, proved=NOW - 15 * 24 * HOUR))

    assert (mark, says.endswith("proved by a restore 2026-12-31T08:00:00Z, which is long ago")) == ("?", True)


@pytest.mark.parametrize(
    ("fields", "says", "unit"),
    [
        (
            {"saved": NOW - HOUR, "proved": NOW - HOUR, "save_failed": True},
            "failed since it last succeeded 2027-01-15T07:00:00Z; proved by a restore 2027-01-15T07:00:00Z",
            "platform-backup",
        ),
        (
            {"save_failed": True},
            "failed, and never succeeded; no restore has proved it yet",
            "platform-backup",
        ),
        (
            {"saved": NOW - 25 * HOUR, "proved": NOW - HOUR},
            "last succeeded 2027-01-14T07:00:00Z, which is overdue; proved by a restore 2027-01-15T07:00:00Z",
            "platform-backup",
        ),
        (
            {"saved": NOW - HOUR, "test_failed": True},
            "last succeeded 2027-01-15T07:00:00Z; its restore test failed",
            "platform-backup-test",
        ),
        (
            {"saved": NOW - HOUR, "proved": NOW - 9 * HOUR, "test_failed": True},
            "last succeeded 2027-01-15T07:00:00Z; its restore test failed since 2027-01-14T23:00:00Z",
            "platform-backup-test",
        ),
    ],
    ids=["failed last", "never succeeded", "overdue", "test failed", "test failed last"],
)
def test_what_is_wrong_is_not_green_and_names_the_node_s_journal(
    fields: dict[str, object], says: str, unit: str
) -> None:
    one = state(**fields)

    assert said(one) == ("NOT", says)
    assert one.verdict(NOW).try_next == f"{JOURNAL} {unit} -n 50"


def test_what_was_never_tried_is_no_failure_yet_and_names_the_command_that_tries() -> None:
    one = state(told=False)

    assert said(one) == ("?", "has not run yet")
    assert str(one.verdict(NOW).try_next).endswith("consul-1.eu sudo systemctl start platform-backup")


def test_a_program_gets_times_and_no_prose_to_take_apart() -> None:
    found = state(saved=NOW - HOUR, save_failed=True).plain(NOW)

    assert (found["good"], found["last_success"], found["last_failed"], found["restore_verified"]) == (
        False,
        "2027-01-15T07:00:00Z",
        True,
        None,
    )


def ask(*ports: int, lost: str = "") -> dict[str, SavedState]:
    places = tuple(
        Instance(node=f"consul-{number}", site="eu", address="127.0.0.1", port=port)
        for number, port in enumerate(ports, 1)
    )
    endpoints = Endpoints(instances={"prometheus/eu": places}, lost={places[0].where: lost} if lost else {})
    return {one.name: one for one in platform_backups(PLAN, endpoints, Deadline(30))}


class Node:
    """A node exporter, and how a Prometheus job reads it as if it were at its planned address."""

    def __init__(self, name: str, port: int) -> None:
        address = f"{SITE.node(name).address}:9100"
        self.job = {
            "targets": [f"127.0.0.1:{port}"],
            "labels": {"instance": address},
        }


@pytest.fixture
def read(tmp_path: Path) -> Iterator[tuple[int, list[str]]]:
    """A Prometheus that reads consul-1, whose answer is the list's only text, and not master-1."""
    text = [""]

    def metrics(_: Asked) -> Says:
        return Says(body=text[0], headers={"Content-Type": "text/plain; version=0.0.4"})

    with scripted(metrics) as exporter:
        nodes = [Node("consul-1", exporter.port), Node("master-1", free_port())]
        job = {
            "job_name": "node_exporter-metrics",
            "scrape_interval": "200ms",
            "scrape_timeout": "200ms",
            "static_configs": [node.job for node in nodes],
        }
        (tmp_path / "prometheus.yml").write_text(json.dumps({"scrape_configs": [job]}))
        port = free_port()
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    need("prometheus"),
                    f"--config.file={tmp_path}/prometheus.yml",
                    f"--storage.tsdb.path={tmp_path}/data",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            yield port, text
        finally:
            process.terminate()
            process.wait(timeout=60)


def eventually(port: int, name: str, says: str) -> SavedState:
    end = time.monotonic() + 30
    while True:
        found = ask(port)[name]
        if found.verdict(NOW).says == says:
            return found
        assert time.monotonic() < end, found.verdict(NOW)
        time.sleep(0.2)


@pytest.mark.slow
def test_a_real_prometheus_tells_what_the_nodes_told_it(read: tuple[int, list[str]]) -> None:
    port, text = read
    # As cloud-init/platform_backup/platform-backup.j2 writes them.
    text[0] = (
        f'clustermesos_platform_backup_success_timestamp_seconds{{state="consul"}} {NOW - HOUR:.0f}\n'
        'clustermesos_platform_save_failed{state="consul"} 0\n'
        'clustermesos_platform_backup_success_timestamp_seconds{state="registry"} 0\n'
        'clustermesos_platform_save_failed{state="registry"} 1\n'
        f'clustermesos_platform_restore_verified_timestamp_seconds{{state="consul"}} {NOW - HOUR:.0f}\n'
        'clustermesos_platform_test_failed{state="consul"} 0\n'
    )

    good = eventually(
        port,
        "consul on consul-1.eu",
        "last succeeded 2027-01-15T07:00:00Z; proved by a restore 2027-01-15T07:00:00Z",
    )
    assert good.verdict(NOW).mark == "ok"
    found = ask(port)
    assert said(found["registry on consul-1.eu"]) == (
        "NOT",
        "failed, and never succeeded; no restore has proved it yet",
    )
    assert said(found["zookeeper on master-1.eu"]) == (
        "?",
        "nothing is known; Prometheus can't read the node's metrics now",
    )

    # A node that is gone is known by what it told last.
    text[0] = "no metrics at all {"
    gone = eventually(
        port,
        "consul on consul-1.eu",
        "last succeeded 2027-01-15T07:00:00Z; proved by a restore 2027-01-15T07:00:00Z; "
        "Prometheus can't read the node's metrics now",
    )
    assert gone.verdict(NOW).mark == "?"


def vector(value: float, *names: tuple[str, str]) -> Says:
    instance = f"{SITE.node('consul-1').address}:9100"
    result = [
        {"metric": {"__name__": name, "instance": instance, "state": state}, "value": [0, str(value)]}
        for name, state in names
    ]
    return Says(body={"data": {"resultType": "vector", "result": result}})


SAVED = ("clustermesos_platform_backup_success_timestamp_seconds", "consul")


def test_of_two_that_look_at_a_node_the_newer_word_counts_and_one_is_enough() -> None:
    with scripted(vector(NOW - 9, SAVED, ("up", ""))) as one, scripted(vector(NOW, SAVED, ("up", ""))) as two:
        assert ask(two.port, one.port)["consul on consul-1.eu"].saved == NOW
        assert ask(free_port(), one.port)["consul on consul-1.eu"].silent is None


def test_where_nobody_can_be_asked_it_says_so_and_how_to_look_on_the_node() -> None:
    found = ask(free_port(), lost="consul-1.eu: connection timed out")["consul on consul-1.eu"]

    verdict = found.verdict(NOW)
    assert (verdict.mark, verdict.says) == (
        "?",
        "nothing is known; consul-1.eu was not asked: consul-1.eu: connection timed out",
    )
    assert verdict.try_next == "ssh -F .clustermesos/ssh_config consul-1.eu sudo platform-backup list"


def test_without_a_target_there_is_nothing_to_ask() -> None:
    plain = plan(ClusterSpec.model_validate(WHOLE))

    assert platform_backups(plain, Endpoints(instances={}), Deadline(1)) == ()
