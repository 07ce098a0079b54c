"""A component reaches the node by its module, its folder and one line in the registry; nothing else."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import constructs_lib.components
import constructs_lib.plan.plan
import constructs_lib.plan.software
from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import (
    AptPackages,
    Component,
    Directory,
    File,
    FourLetterWord,
    HttpOk,
    Port,
    Role,
    Secret,
    SystemUser,
)
from constructs_lib.nodes import templates
from constructs_lib.nodes.generation import manifest
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import SOURCE, WHOLE

TEAPOT = Component(
    name="teapot",
    summary="made up for this test",
    roles=(Role.EDGE,),
    software=AptPackages(names=("teapot", "teapot-lid")),
    packages=("water",),
    ports=(Port("tea", 1418, (Role.AGENT,), "agents get tea here"),),
    files=(
        File("teapot.conf.j2", to="/etc/teapot.conf", restarts="teapot.service"),
        File("nothing.j2", to="/etc/teapot.d/nothing.conf"),
        File("agents-only", to="/etc/teapot.d/agents.conf", on=(Role.AGENT,)),
    ),
    directories=(Directory(path="/var/lib/teapot", owner="teapot", group="teapot"),),
    users=(SystemUser(name="teapot", uid=1418),),
    units=("teapot.service",),
    secrets=(Secret(name="teapot_password", kind="password", roles=(Role.EDGE,), to="/etc/teapot.password"),),
    health=(HttpOk(port="tea", path="/ready"),),
)


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeFiles:
    """The edge of a cluster whose registry has one more line and whose cloud-init/ has one more folder."""
    folder = tmp_path / "cloud-init"
    shutil.copytree(templates.TEMPLATE_FOLDER, folder)
    (folder / "teapot").mkdir()
    (folder / "teapot/teapot.conf.j2").write_text(
        "listen {{ node_address }}:{{ port.tea }}  # {{ plan.cluster }}\n"
    )
    (folder / "teapot/nothing.j2").write_text("{% if plan.mtu < 0 %}never{% endif %}\n")
    (folder / "teapot/agents-only").write_text("x\n")
    monkeypatch.setattr(templates, "TEMPLATE_FOLDER", folder)
    for module in (
        constructs_lib.components,
        *(constructs_lib.plan.__dict__[m] for m in ("plan", "software")),
    ):
        monkeypatch.setattr(module, "COMPONENTS", (*COMPONENTS, TEAPOT))
    planned = plan(ClusterSpec.model_validate(WHOLE)).site("eu")
    return render(planned, planned.nodes_of(Role.EDGE)[0])


def test_its_files_are_rendered_where_they_belong(edge: NodeFiles) -> None:
    address = edge.file("/etc/clustermesos/node.env").content.split("=")[-1].strip()

    assert edge.file("/etc/teapot.conf").content == f"listen {address}:1418  # whole\n"
    assert not any(file.path.startswith("/etc/teapot.d/") for file in edge.files)


def test_its_port_is_open_in_the_firewall_to_those_it_names(edge: NodeFiles) -> None:
    assert re.search(
        r'l4proto tcp ct original proto-dst 1418 ip saddr \{[^}]+\} accept comment "agents get tea here"',
        edge.file("/etc/clustermesos/firewall.nft").content,
    )


def test_its_health_is_asked_for(edge: NodeFiles) -> None:
    [stage] = [stage for stage in edge.stages if stage.component == "teapot"]

    assert stage.checks == ({"kind": "http_ok", "url": "http://127.0.0.1:1418/ready"},)


def test_everything_else_it_declares_reaches_the_node(edge: NodeFiles) -> None:
    sent = json.dumps(manifest(edge, SOURCE))

    assert '{"name": "teapot", "uid": 1418}' in sent
    assert '{"path": "/var/lib/teapot", "mode": "755", "owner": "teapot"}' in sent
    assert '"water"' in sent
    assert '{"component": "teapot", "names": ["teapot", "teapot-lid"]}' in sent
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

    assert there == {file.template for file in component.files}


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
