"""What a lab sends is what a deploy sends: same files, late values filled in. No machine is booted here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from constructs_lib.errors import LabError
from constructs_lib.lab import commands
from constructs_lib.lab.image import FILES, package_names
from constructs_lib.lab.overrides import Overrides, read_overrides
from constructs_lib.lab.texts import identities
from constructs_lib.nodes.late import MARKER
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from tests.conftest import need
from tests.lab.conftest import CLUSTER

NONE = Overrides(software={}, programs={}, without=(), preflight_warnings=())


def _site(overrides: Overrides = NONE) -> SitePlan:
    return plan(overrides.apply(load(CLUSTER))).site("eu")


def test_every_late_value_is_filled_in() -> None:
    for one in identities(_site(), NONE, {}, ""):
        assert not MARKER.search(one.user_data), one.name


def test_a_node_gets_the_files_that_a_deploy_sends() -> None:
    site = _site()
    for one in identities(site, NONE, {}, ""):
        node = site.pool("general") if one.name == "general-1" else site.node(one.name)
        written = yaml.safe_load(one.user_data)["write_files"]
        assert {entry["path"].split("/files", 1)[1] for entry in written[:-1]} == {
            file.path for file in render(site, node).files
        }


def test_cloud_init_finds_nothing_wrong_with_a_nodes_text_on_the_labs_image(tmp_path: Path) -> None:
    """It reads both as one, and warns in its log of what it calls invalid in either."""
    cloud_init = need("cloud-init")
    image = yaml.safe_load((FILES / "cloud.cfg").read_text())
    for one in identities(_site(read_overrides()), read_overrides(), {}, ""):
        path = tmp_path / one.name
        merged = {**image, **yaml.safe_load(one.user_data)}
        path.write_text(f"#cloud-config\n{yaml.safe_dump(merged)}")
        done = subprocess.run(
            [cloud_init, "schema", "-c", str(path)], capture_output=True, text=True, check=False, timeout=60
        )
        assert "Valid cloud-config" in done.stdout, done.stdout + done.stderr


def test_machines_have_planned_addresses_and_agents_their_pools_network() -> None:
    site = _site()
    found = {one.name: one.address for one in identities(site, NONE, {}, "", agents={"general": 4})}
    assert {node.name: node.address for node in site.nodes}.items() <= found.items()
    agents = [found[f"general-{number}"] for number in range(1, 5)]
    assert len(set(agents)) == 4
    assert all(any(agent in zone.agents for zone in site.zones) for agent in agents)


def test_a_machine_is_handed_its_own_roles_secrets_alone() -> None:
    site = _site()
    values = {secret.name: "x" for secret in site.secrets}
    for one in identities(site, NONE, values, ""):
        assert set(one.secrets) == {secret.name for secret in site.secrets if one.role in secret.roles}
        assert one.volume == (f"vol-lab-{one.name}" if one.role in ("master", "consul") else None)


def test_a_component_that_is_left_out_leaves_no_trace_in_a_node() -> None:
    without = Overrides(software={}, programs={}, without=("zookeeper",), preflight_warnings=())
    site = _site()
    files = render(site, site.node("master-1"), without=without.without)
    assert not [file.path for file in files.files if "/zoo" in file.path]
    assert "zookeeper" not in [stage.component for stage in files.stages]
    assert "zookeeper" not in [stage.component for stage in files.stages]
    assert not files.secrets or all("/zookeeper/" not in secret.path for secret in files.secrets)


def test_the_labs_overrides_are_printed_one_by_one() -> None:
    overrides = read_overrides()
    assert "zookeeper: source apt" in overrides.lines()
    assert _site(overrides).software["zookeeper"].source == "apt"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("without: [teapot]", "unknown component teapot; known: "),
        ("software: {teapot: {source: apt}}", "unknown component teapot; known: "),
        ("sofware: {}", "got ['sofware'], expected only"),
        ("[", "can't be read"),
    ],
)
def test_overrides_that_are_not_understood_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text(text)
    with pytest.raises(LabError, match=said.replace("[", r"\[").replace("]", r"\]")) as refused:
        read_overrides(path)
    assert str(path) in str(refused.value)


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "run it with sudo" in (commands.missing() or "")


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(commands, "SEARCH", "/nowhere")
    assert "apt-get install dpkg-dev e2fsprogs iproute2 mmdebstrap" in (commands.missing() or "")


def test_the_image_has_what_every_role_asks_the_distribution_for() -> None:
    overrides = read_overrides()
    site, names = _site(overrides), set(package_names())
    nodes: list[NodePlan | PoolPlan] = [*site.nodes, *site.pools]
    texts = [render(site, node, without=overrides.without) for node in nodes]
    asked = {name for files in texts for name in files.base_packages}
    asked |= {name for files in texts for group in files.packages for name in group.names}
    assert asked - names == set()
