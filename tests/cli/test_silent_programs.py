"""Programs of the platform that are down, while somebody types a command with its default timeout."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.cli.main import main
from constructs_lib.hooks import checks, patience, reached
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import RunningClock, SimulatedCluster
from constructs_lib.simulator.cluster.endpoints_file import endpoints
from constructs_lib.spec.load import load
from scripts.embedded_aws import free_port
from scripts.progress import ROOT
from tests.hooks.scripted_server import Asked, Says, scripted

CONTRACT = """\
name: shop
owner: shop@example.org
dev: {image: "registry.service.consul:5000/shop:1", ports: {http: 8080}, health: {path: /}}
ops: {cpus: 0.1, memory_mib: 32, instances: {min: 2, max: 4, follow: cpu}, route: {host: shop.example.org}}
"""
LOOKS = ("status", "explain shop", "plan", "backups", "scale --dry-run")
WORDS = ("pause shop", "promote shop", "resume shop", "rollback shop", "rollback shop --to 12345678")
NEEDS = {
    "explain shop": {"marathon", "mesos"},
    "plan": {"marathon", "chronos", "consul/eu"},
    "scale --dry-run": {"marathon", "consul/eu"},
}
"""What a command can't do without; others say what they know."""
PROGRAMS = ("mesos", "marathon", "chronos", "consul/eu")
SECONDS = 0.4
"""In place of 15 and 60."""


def consul(asked: Asked) -> Says:
    """One that has nothing."""
    if "/v1/kv/" in asked.path:
        return Says(404, "")
    return Says(body={} if "/services" in asked.path else [])


@pytest.fixture(scope="module")
def instances() -> Iterator[dict[str, list[str]]]:
    """A platform that is whole: program → where it answers."""
    planned = plan(load(ROOT / "cluster.yaml"))
    with (
        SimulatedCluster.of_plan(planned, clock=RunningClock()) as simulated,
        scripted(consul) as kept,
    ):
        yield endpoints(simulated, {"eu": kept.url})["instances"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("LOOK_SECONDS", "BEGIN_SECONDS"):
        monkeypatch.setattr(patience, name, SECONDS)
    monkeypatch.setattr(patience, "FIRST_WORD_SECONDS", 0.1)
    monkeypatch.setattr(checks, "ASK_SECONDS", SECONDS)
    monkeypatch.setattr(reached, "ASK_SECONDS", SECONDS)
    (tmp_path / "cluster.yaml").write_text((ROOT / "cluster.yaml").read_text())
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "shop.yaml").write_text(CONTRACT)
    return tmp_path


def without(down: tuple[str, ...], instances: dict[str, list[str]], folder: Path) -> None:
    """Nobody listens where these are said to be."""
    refused = {program: [f"127.0.0.1:{free_port()}"] for program in down}
    text = json.dumps({"simulator": True, "instances": {**instances, **refused}})
    (folder / "sim.json").write_text(text)


def typed(command: str, folder: Path) -> tuple[int, float]:
    """Its exit code, and how long it took."""
    began = time.monotonic()
    code = main([*command.split(), "--file", f"{folder}/cluster.yaml", "--simulator", f"{folder}/sim.json"])
    return code, time.monotonic() - began


@pytest.mark.parametrize(
    "down", [*(pytest.param((one,), marks=pytest.mark.slow) for one in PROGRAMS), PROGRAMS], ids=" ".join
)
@pytest.mark.parametrize("command", [*LOOKS, *WORDS])
def test_a_command_ends_soon_whatever_is_down(
    command: str,
    down: tuple[str, ...],
    instances: dict[str, list[str]],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without(down, instances, folder)

    code, took = typed(command, folder)

    err = capsys.readouterr().err
    assert code in (0, 1) and took < 10 * SECONDS, (code, took)
    if missing := NEEDS.get(command, set()) & set(down):
        assert code == 1 and any(f"{one.partition('/')[0]}: " in err for one in missing), err


@pytest.mark.slow
def test_what_is_waited_for_is_said(
    instances: dict[str, list[str]],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "BEGIN_SECONDS", 2.0)
    without(("consul/eu",), instances, folder)

    assert typed("pause shop", folder)[0] == 1

    said = capsys.readouterr().err
    assert re.search(r"^waits for consul: connection refused \([12] s left\)$", said, re.MULTILINE)
    assert "consul: GET /v1/kv/clustermesos/routes/shop: connection refused, and so it was" in said


@pytest.mark.slow
def test_without_consul_status_says_what_marathon_knows(
    instances: dict[str, list[str]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without(("consul/eu",), instances, folder)

    assert typed("status --json", folder)[0] == 1

    told = json.loads(capsys.readouterr().out)
    rows = {one["check"]: one for one in told["checks"]}
    assert rows["marathon"]["good"] and not rows["consul/eu"]["good"]
    shop = next(one for one in told["contracts"] if (one["kind"], one["name"]) == ("app", "shop"))
    assert shop["says"].startswith("not deployed yet: version ")
    assert "whether its version was given up is not known: consul: " in shop["says"]


def test_without_marathon_nothing_is_held_against_the_version_that_runs(
    instances: dict[str, list[str]], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without(("marathon",), instances, folder)

    assert typed("rollback shop", folder)[0] == 1

    assert "marathon: GET /v2/apps/shop/*: connection refused" in capsys.readouterr().err
