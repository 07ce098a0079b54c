"""A component reaches the node by its module, its folder and one line in the registry; nothing else."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import Component, FourLetterWord, HttpOk
from constructs_lib.nodes import templates
from tests.nodes.clusters import WHOLE

ROOT = Path(__file__).parents[2]
MADE_UP = Path(__file__).with_name("teapot")
IMPORT, LINE = "from constructs_lib.components.teapot import TEAPOT\n", "    TEAPOT,\n"


def _add(library: Path) -> None:
    """The three places of docs/adding-a-component.md."""
    shutil.copy(MADE_UP / "teapot.py", library / "constructs_lib/components/teapot.py")
    shutil.copytree(MADE_UP / "cloud-init", library / "cloud-init/teapot")
    registry = library / "constructs_lib/components/__init__.py"
    text = registry.read_text()
    last = text.index(")\n", text.index("COMPONENTS: "))
    text = text[:last] + LINE + text[last:]
    registry.write_text(text.replace("\nCOMPONENTS: ", f"{IMPORT}\nCOMPONENTS: "))


def _cluster(file: Path, software: dict[str, Any]) -> str:
    """WHOLE as a cluster.yaml, in a folder of its own, with this for the component."""
    file.parent.mkdir()
    settings: dict[str, Any] = copy.deepcopy(dict(WHOLE))
    settings["software"]["teapot"] = software
    file.write_text(yaml.safe_dump(settings))
    return str(file)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a copy of the library, with the component in its three places, makes of two clusters."""
    library = tmp_path_factory.mktemp("library")
    for name in ("constructs_lib", "cloud-init"):
        shutil.copytree(
            ROOT / name, library / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    _add(library)
    clusters = [
        _cluster(library / "good" / "cluster.yaml", {"version": "4.18"}),
        _cluster(library / "bad" / "cluster.yaml", {"source": "image"}),
    ]
    done = subprocess.run(
        [sys.executable, str(MADE_UP / "ask.py"), *clusters],
        cwd=library,
        env={**os.environ, "PYTHONPATH": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="module")
def edge(told: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = told[0]["nodes"]["edge"]
    return found


@pytest.fixture(scope="module")
def consul(told: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = told[0]["nodes"]["consul"]
    return found


def test_its_files_are_rendered_where_they_belong(edge: dict[str, Any]) -> None:
    address = edge["files"]["/etc/clustermesos/node.env"].split("=")[-1].strip()

    assert edge["files"]["/etc/teapot.conf"] == f"listen {address}:1418  # whole\n"
    assert not any(path.startswith("/etc/teapot.d/") for path in edge["files"])


def test_its_ports_are_open_in_the_nodes_firewall_and_the_platforms_to_those_they_name(
    told: list[dict[str, Any]], edge: dict[str, Any]
) -> None:
    rules = edge["files"]["/etc/clustermesos/firewall.nft"]
    assert re.search(
        r'l4proto tcp ct original proto-dst 1418 ip saddr \{[^}]+\} accept comment "agents get tea here"',
        rules,
    )
    assert 'comment "Prometheus reads how hot it is"' in rules
    assert "agents get tea here" in json.dumps(told[0]["stack"])


def test_its_health_is_asked_for(edge: dict[str, Any]) -> None:
    assert edge["checks"]["teapot"] == [{"kind": "http_ok", "url": "http://127.0.0.1:1418/ready"}]


def test_its_metrics_are_read_and_its_alert_is_raised_by_prometheus(
    told: list[dict[str, Any]], consul: dict[str, Any]
) -> None:
    prometheus = yaml.safe_load(consul["files"]["/etc/prometheus/prometheus.yml"])
    jobs = {one["job_name"]: one for one in prometheus["scrape_configs"]}
    assert jobs["teapot-metrics"]["metrics_path"] == "/hot"
    assert all(target.endswith(":1419") for target in jobs["teapot-metrics"]["static_configs"][0]["targets"])
    [group] = [one for one in told[0]["alerts"] if one["name"] == "teapot"]
    assert [rule["alert"] for rule in group["rules"]] == ["TeapotCold"]


def _services(node: dict[str, Any]) -> dict[str, int]:
    """Name → port, as the node tells Consul."""
    consul = json.loads(node["files"]["/etc/consul.d/consul.json"])
    return {one["name"]: one["port"] for one in consul.get("services", ())}


def test_its_service_is_listed_in_consul_by_the_nodes_that_run_it(
    edge: dict[str, Any], consul: dict[str, Any]
) -> None:
    assert _services(edge)["tea"] == 1418
    assert "tea" not in _services(consul)


def test_its_secret_and_its_state_reach_terraform(told: list[dict[str, Any]]) -> None:
    stack = told[0]["stack"]

    assert stack["variable"]["teapot_password"]["sensitive"] is True
    assert "teapot_password" in json.dumps(stack["resource"]["aws_iam_role_policy"])


def test_software_of_cluster_yaml_holds_for_it_and_what_is_wrong_there_is_told(
    told: list[dict[str, Any]], edge: dict[str, Any]
) -> None:
    [packages] = [one for one in edge["manifest"]["packages"] if one.get("component") == "teapot"]

    assert packages == {"component": "teapot", "names": ["teapot", "teapot-lid"], "version": "4.18"}
    assert (
        "software.teapot.source: got 'image', expected apt or preinstalled for teapot" in told[1]["refused"]
    )


def test_everything_else_it_declares_reaches_the_node(edge: dict[str, Any]) -> None:
    sent = json.dumps(edge["manifest"])

    assert '{"name": "teapot", "uid": 1418}' in sent
    assert '{"path": "/srv/data/teapot", "mode": "755", "owner": "teapot"}' in sent
    assert '"water"' in sent
    assert '"name": "teapot_password", "path": "/etc/teapot.password"' in sent
    stage = (
        '{"component": "teapot", "units": ["teapot.service"], "seconds": 300, "checks": [{"kind": "http_ok"'
    )
    assert stage in sent


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_each_component_has_its_folder_and_uses_every_file_in_it(component: Component) -> None:
    folder = templates.TEMPLATE_FOLDER / component.name
    there = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not {"__pycache__", "program"} & set(path.parts)
    }

    saved = {component.backup.template} if component.backup else set()
    assert there == {file.template for file in component.files} | saved


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_what_a_component_declares_fits_together(component: Component) -> None:
    names = [port.name for port in component.ports]
    assert len(names) == len(set(names))
    assert component.state is None or component.state.startswith("/srv/data/")
    for check in component.health:
        if isinstance(check, FourLetterWord | HttpOk):
            assert check.port in names
    for secret in component.secrets:
        assert set(secret.roles) <= set(component.roles)


def test_the_page_that_walks_through_a_component_shows_the_real_one() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs/adding-a-component.md").read_text(encoding="utf-8")
    shown = page.split("```python\n")[1].split("```")[0]
    module = (root / "constructs_lib/components/node_exporter.py").read_text(encoding="utf-8")

    assert shown == module[module.index("NODE_EXPORTER = ") :]
