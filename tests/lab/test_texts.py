"""What a lab sends is what a deploy sends: same files, late values filled in. No machine is booted here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from constructs_lib.components.model import Role
from constructs_lib.errors import LabError
from constructs_lib.lab import commands
from constructs_lib.lab.image import FILES, package_names
from constructs_lib.lab.network import Network
from constructs_lib.lab.overrides import Overrides, read_overrides
from constructs_lib.lab.own_secrets import own_secrets
from constructs_lib.lab.texts import NOWHERE, agent_addresses, identities, late_value
from constructs_lib.nodes.late import MARKER
from constructs_lib.nodes.render import render
from constructs_lib.plan.addresses import planned_agents
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.platforms import PLATFORMS
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


@pytest.mark.slow
def test_cloud_init_finds_nothing_wrong_with_a_nodes_text_on_the_labs_image(tmp_path: Path) -> None:
    """It reads both as one, and warns in its log of what it calls invalid in either."""
    cloud_init = need("cloud-init")
    image = yaml.safe_load((FILES / "cloud.cfg").read_text())
    one_of_a_role = {one.role: one for one in identities(_site(read_overrides()), read_overrides(), {}, "")}
    for one in one_of_a_role.values():
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


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "run it with sudo" in (commands.missing() or "")


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(commands, "SEARCH", "/nowhere")
    assert "apt-get install dpkg-dev e2fsprogs iproute2 mmdebstrap" in (commands.missing() or "")


ROOT = Path(__file__).parents[2]
CLUSTERS = sorted(
    [
        ROOT / "cluster.yaml",
        CLUSTER,
        *ROOT.glob("examples/*/cluster.yaml"),
        *ROOT.glob("tests/*/golden/*/cluster.yaml"),
        *ROOT.glob("tests/spec/good/*.yaml"),
    ]
)
"""Of every platform, one site or several."""


def _named(file: Path) -> str:
    return str(file.relative_to(ROOT).with_suffix(""))


def test_every_platform_is_among_the_clusters_that_a_lab_takes() -> None:
    specs = [load(file) for file in CLUSTERS]

    assert {site.platform for spec in specs for site in spec.sites.values()} == set(PLATFORMS)
    assert any(len(spec.sites) > 1 for spec in specs)


@pytest.mark.slow
@pytest.mark.parametrize("file", CLUSTERS, ids=_named)
def test_a_lab_takes_any_cluster(file: Path, tmp_path: Path) -> None:
    """Every site's nodes have a text with nothing open, their secrets, and software that the image has."""
    overrides = read_overrides()
    planned = plan(overrides.apply(load(file)))
    secrets, names = own_secrets(planned.secrets, tmp_path / "secrets.json"), set(package_names())
    for site in planned.sites.values():
        assert {one.source for one in site.software.values() if one.enabled} <= {
            "apt",
            "preinstalled",
            "none",
        }
        few = {pool.name: min(1, pool.min) for pool in site.pools}
        machines = list(identities(site, overrides, secrets, "", few))
        assert [one.name for one in machines if MARKER.search(one.user_data)] == []
        for one in machines:
            pool = one.name.rpartition("-")[0] if one.role == Role.AGENT else None
            assert set(one.secrets) == {secret.name for secret in site.secrets_of(Role(one.role), pool)}
        nodes: list[NodePlan | PoolPlan] = [*site.nodes, *site.pools]
        for files in (render(site, node, without=overrides.without) for node in nodes):
            asked = {*files.base_packages, *(name for group in files.packages for name in group.names)}
            assert asked - names == set()


def test_a_bare_image_has_what_the_lab_needs_and_no_package_that_components_install() -> None:
    bare = package_names(bare=True)

    assert {"cloud-init", "curl", "busybox-static"} <= set(bare) < set(package_names())
    assert not {"chrony", "docker.io", "prometheus", "wireguard-tools"} & set(bare)


@pytest.mark.parametrize("file", CLUSTERS, ids=_named)
def test_machines_of_any_cluster_have_addresses_of_their_own(file: Path) -> None:
    for site in plan(read_overrides().apply(load(file))).sites.values():
        network = Network(site.network, site.mtu)
        wanted = {pool.name: pool.max + 1 for pool in site.pools}
        agents = [address for pool in site.pools for address in agent_addresses(site, pool, wanted)]
        taken = [network.router, network.stranger, *(node.address for node in site.nodes), *agents]
        assert len(set(taken)) == len(taken)
        for pool in site.pools:
            planned = [agent.address for agent in planned_agents(pool, site.zones)]
            assert agent_addresses(site, pool, wanted)[: len(planned)] == planned
        assert all(any(agent in zone.agents for zone in site.zones) for agent in agents)


def test_containers_in_a_lab_send_what_its_network_takes() -> None:
    """Where a cloud would be asked for its network's MTU, the lab's own network has the plan's."""
    file = ROOT / "tests/openstack/golden/private/cluster.yaml"
    site = plan(read_overrides().apply(load(file))).site("dc1")

    for one in identities(site, NONE, {}, ""):
        docker = "/etc/docker/daemon.json" in one.user_data
        assert (f'"mtu": {site.mtu},' in one.user_data) is docker


def test_another_sites_gateway_is_at_an_address_of_nobody() -> None:
    planned = plan(read_overrides().apply(load(ROOT / "tests/hybrid/golden/hybrid/cluster.yaml")))
    dc1, eu = planned.site("dc1"), planned.site("eu")

    assert late_value(dc1, "gateway_public_address:eu") == NOWHERE
    assert late_value(eu, "gateway_public_address:eu") == str(eu.nodes_of(Role.GATEWAY)[0].address)
    gateway = next(one for one in identities(dc1, NONE, {}, "") if one.role == Role.GATEWAY)
    assert f'"{NOWHERE}:51820"' in gateway.user_data


def test_agents_of_a_pool_that_there_is_not_are_refused() -> None:
    with pytest.raises(LabError, match="got pool genral, expected one of general"):
        list(identities(_site(), NONE, {}, "", agents={"genral": 1}))
