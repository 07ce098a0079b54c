"""`clustermesos promote`, `pause` and `resume` over a simulated Marathon and a real Consul."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.cli.main import main
from constructs_lib.hooks.report import SIMULATOR_NOTE
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import Fault, SimulatedCluster
from constructs_lib.simulator.cluster.agents import from_plan
from constructs_lib.simulator.cluster.profiles import Profile
from constructs_lib.simulator.cluster.timeline import RunningClock
from constructs_lib.simulator.web import ask
from constructs_lib.spec.load import load
from scripts.progress import ROOT
from tests.hooks.consul_server import ConsulServer, consul_server

CONTRACT = """
name: shop
owner: shop@example.org
dev:
  image: registry.service.consul:5000/shop:{version}
  ports: {{http: 8080}}
  health: {{path: /}}
  readiness: {{path: /, interval_seconds: 2, timeout_seconds: 1}}
ops:
  cpus: 0.1
  memory_mib: 32
  instances: 2
  route: {{host: shop.example.org}}
  deploy:
    strategy: canary
    min_healthy_seconds: 0
    canary: {{instances: 1, promote: manual}}
"""


@dataclass
class Clustered:
    folder: Path
    simulated: SimulatedCluster

    def command(self, *words: str) -> int:
        return main([*words, "--file", str(self.folder / "cluster.yaml"), "--timeout", "60"])

    def contract(self, version: str) -> None:
        (self.folder / "contracts" / "shop.yaml").write_text(CONTRACT.format(version=version))

    def apply(self) -> None:
        assert self.command("apply", "--gate-timeout", "20") == 0

    def running(self) -> set[str]:
        images = (task.spec["container"]["docker"]["image"] for task in self.simulated.tasks())
        return {str(image).rpartition(":")[2] for image in images}

    def versions(self) -> dict[str, int]:
        """How many instances of each Marathon is asked for."""
        apps = ask(f"{self.simulated.urls('marathon')[0]}/v2/apps")[1]["apps"]
        return {app["id"].rpartition("/")[2]: app["instances"] for app in apps}


@pytest.fixture(scope="module")
def server(consul: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulServer]:
    with consul_server(consul, tmp_path_factory.mktemp("consul")) as server:
        yield server


@pytest.fixture
def cluster(server: ConsulServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clustered]:
    # What the test before left there.
    token = {"X-Consul-Token": server.token}
    ask(f"{server.url}/v1/kv/clustermesos/?recurse=true", "DELETE", headers=token)
    (tmp_path / "cluster.yaml").write_text((ROOT / "cluster.yaml").read_text())
    (tmp_path / "contracts").mkdir()
    agents = from_plan(plan(load(ROOT / "cluster.yaml")))
    registered: Any = {"consul": server.url, "consul_token": server.token}
    with SimulatedCluster(agents, clock=RunningClock(), **registered) as simulated:
        simulated.profile("*", Profile(start_seconds=0.05, healthy_after=0.05, stop_seconds=0.05))
        instances = {program: one.addresses for program, one in simulated.instances.items()}
        endpoints = {"simulator": True, "instances": {**instances, "consul/eu": [f"127.0.0.1:{server.port}"]}}
        (tmp_path / "endpoints.json").write_text(json.dumps(endpoints))
        monkeypatch.setenv("CLUSTERMESOS_SIMULATOR", str(tmp_path / "endpoints.json"))
        monkeypatch.setenv("CONSUL_HTTP_TOKEN", server.token)
        yield Clustered(tmp_path, simulated)


@pytest.mark.slow
def test_a_canary_that_waits_is_paused_promoted_and_resumed(
    cluster: Clustered, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("one", "two"):
        cluster.contract(version)
        cluster.apply()
    assert "waits for promotion of canary" in capsys.readouterr().out
    assert cluster.running() == {"one", "two"}

    capsys.readouterr()
    assert cluster.command("pause", "shop", "--json") == 0
    assert json.loads(capsys.readouterr().out)["contract"] == "shop"
    assert cluster.command("promote", "shop", "--only-say", "--json") == 0
    assert json.loads(capsys.readouterr().out)["contract"] == "shop"
    assert cluster.running() == {"one", "two"}
    assert cluster.command("promote", "shop") == 1
    assert "no canary of version" in capsys.readouterr().err

    assert cluster.command("resume", "shop", "--json") == 0

    told = json.loads(capsys.readouterr().out)
    assert told["simulator"] is True
    assert told["contract"] == "shop" and told["good"] and told["says"] == f"version {told['version']} runs"
    assert cluster.running() == {"two"}
    assert cluster.command("pause", "shop") == 1
    assert "nothing of it is being deployed" in capsys.readouterr().err


@pytest.mark.slow
def test_a_version_that_never_was_good_is_rolled_back_to_by_force_alone(
    cluster: Clustered, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.contract("good")
    cluster.apply()
    cluster.simulated.profile("*", Profile(start_seconds=0.05, healthy_after=None, fails_after=0.1))
    cluster.contract("bad")
    assert cluster.command("apply", "--gate-timeout", "20") == 1
    assert cluster.running() == {"good"}
    bad = next(one for one in cluster.versions() if cluster.versions()[one] == 0)
    cluster.simulated.profile("*", Profile(start_seconds=0.05, healthy_after=0.05, stop_seconds=0.05))
    capsys.readouterr()

    assert cluster.command("rollback", "shop", "--to", bad) == 1
    assert f"no version {bad} to go back to" in capsys.readouterr().err
    with pytest.raises(SystemExit) as wrong:
        cluster.command("rollback", "shop", "--force")
    assert wrong.value.code == 2 and "--force needs --to VERSION" in capsys.readouterr().err
    assert cluster.command("rollback", "shop", "--to", bad, "--force", "--json") == 0

    told = json.loads(capsys.readouterr().out)
    assert told == {"simulator": True, "contract": "shop", "from": bad, "to": bad, "good": True}
    assert cluster.running() == {"good", "bad"}, "as a canary, as its contract says"


@pytest.mark.slow
def test_a_rollback_that_stopped_in_the_middle_is_gone_on_with_by_the_same_command(
    cluster: Clustered, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("one", "two"):
        cluster.contract(version)
        cluster.apply()
    assert cluster.command("promote", "shop") == 0
    refused = Fault(kind="status", status=403, program="marathon", method="PUT")
    cluster.simulated.inject(refused)

    assert cluster.command("rollback", "shop") == 1
    assert "403" in capsys.readouterr().err
    assert cluster.command("rollback", "shop") == 0

    assert cluster.running() == {"one"}


@pytest.mark.slow
def test_a_rollback_that_is_typed_twice_changes_nothing_more(
    cluster: Clustered, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("one", "two"):
        cluster.contract(version)
        cluster.apply()
    assert cluster.command("promote", "shop") == 0
    assert cluster.command("rollback", "shop") == 0
    assert cluster.running() == {"one"}
    capsys.readouterr()

    assert cluster.command("rollback", "shop") == 1

    assert "no version to go back to; found good before: none" in capsys.readouterr().err
    cluster.contract("one")
    cluster.apply()
    assert cluster.command("plan", "--exit-code") == 0, "what serves was not given up by that"
    assert cluster.running() == {"one"}


@pytest.mark.parametrize("command", ["explain", "pause", "promote", "restore", "resume", "rollback"])
def test_a_name_that_no_contract_has_is_told_with_those_that_there_are(
    command: str, cluster: Clustered, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.contract("one")

    assert cluster.command(command, "shp") == 2

    assert capsys.readouterr().err == "contract: got 'shp', expected one of shop; did you mean shop?\n"


def test_scale_says_which_contracts_follow_a_load(
    cluster: Clustered, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.contract("one")

    assert cluster.command("scale") == 0
    assert capsys.readouterr().out == f"{SIMULATOR_NOTE}\nno contract follows a load\n"
    assert cluster.command("scale", "shop") == 2
    said = "contract with `follow`: got 'shop', expected nothing: there is none\n"
    assert capsys.readouterr().err == said
    path = cluster.folder / "contracts" / "shop.yaml"
    path.write_text(path.read_text().replace("instances: 2", "instances: {min: 2, max: 4, follow: cpu}", 1))
    assert cluster.command("scale", "--dry-run", "--json") == 0
    said_as_json = json.loads(capsys.readouterr().out)
    told = said_as_json["contracts"]["shop"]
    assert said_as_json["simulator"] is True
    assert told["good"] and told["count"] is None and told["says"].endswith("does not run")


@pytest.mark.slow
def test_somebody_elses_wrong_contract_keeps_nobody_from_going_back(
    cluster: Clustered, capsys: pytest.CaptureFixture[str]
) -> None:
    for version in ("one", "two"):
        cluster.contract(version)
        cluster.apply()
    assert cluster.command("promote", "shop") == 0
    assert cluster.running() == {"two"}
    (cluster.folder / "contracts" / "others.yaml").write_text("name: others\n")
    capsys.readouterr()

    assert cluster.command("rollback", "shop") == 0

    assert "others.yaml: " in capsys.readouterr().err
    assert cluster.running() == {"one"}
