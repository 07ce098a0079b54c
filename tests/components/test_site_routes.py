"""Routes to other sites on the nodes themselves, by the script that keeps them, in a network of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from constructs_lib.components.site_routes import SERVICE, TIMER
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from tests.conftest import need
from tests.hybrid.clusters import CASES, cluster_plan

SCRIPT = Path(__file__).parents[2] / "cloud-init" / "site_routes" / "site-routes"
NETWORK = """ip link add eth0 type veth peer name other
ip link set other up
ip link set eth0 up
ip addr add 10.30.20.11/16 dev eth0
"""


def files(site: SitePlan) -> dict[str, dict[str, str]]:
    """Node or pool → path → content."""
    machines: tuple[NodePlan | PoolPlan, ...] = (*site.nodes, *site.pools)
    return {each.name: {file.path: file.content for file in render(site, each).files} for each in machines}


def test_every_node_but_the_gateway_leads_to_every_other_sites_network() -> None:
    site = cluster_plan("plain_hosts").site("dc1")

    found = {name: have.get(f"/etc/systemd/system/{SERVICE}", "") for name, have in files(site).items()}

    assert found.pop("gateway-1") == ""
    assert found.keys() == {"consul-1", "private"}
    for text in found.values():
        assert "ExecStart=/usr/local/sbin/site-routes 10.30.0.11 10.20.0.0/16\n" in text


@pytest.mark.parametrize("case", CASES)
def test_sites_whose_network_has_the_routes_have_none_on_their_nodes(case: str) -> None:
    for site in cluster_plan(case).sites.values():
        if site.facts.routes_on_nodes:
            continue
        assert not [name for name, have in files(site).items() if f"/etc/systemd/system/{TIMER}" in have]


def routes(script: str) -> list[str]:
    """The routes by a gateway that a node has after `script`, in which $ROUTES is the program."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    done = subprocess.run(
        [need("unshare"), "--net", "sh", "-euc", NETWORK + script + "\nip -4 route show"],
        env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "ROUTES": str(SCRIPT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sorted(" ".join(line.split()[:3]) for line in done.stdout.splitlines() if " via " in line)


@pytest.mark.root
def test_a_route_is_there_after_the_first_run_and_after_the_second() -> None:
    twice = 'sh "$ROUTES" 10.30.0.11 10.20.0.0/16 10.40.0.0/20\n' * 2
    assert routes(twice) == ["10.20.0.0/16 via 10.30.0.11", "10.40.0.0/20 via 10.30.0.11"]


@pytest.mark.root
def test_a_route_that_was_lost_is_there_again_and_one_to_elsewhere_is_put_right() -> None:
    assert routes(
        """sh "$ROUTES" 10.30.0.11 10.20.0.0/16 10.40.0.0/20
        ip route del 10.20.0.0/16
        ip route replace 10.40.0.0/20 via 10.30.0.1
        sh "$ROUTES" 10.30.0.11 10.20.0.0/16 10.40.0.0/20"""
    ) == ["10.20.0.0/16 via 10.30.0.11", "10.40.0.0/20 via 10.30.0.11"]


@pytest.mark.root
def test_a_site_that_is_gone_loses_its_route_and_no_others_route_is_touched() -> None:
    assert routes(
        """ip route add default via 10.30.0.1
        ip route add 10.99.0.0/16 via 10.30.0.1
        sh "$ROUTES" 10.30.0.11 10.20.0.0/16 10.40.0.0/20
        sh "$ROUTES" 10.30.0.11 10.20.0.0/16"""
    ) == ["10.20.0.0/16 via 10.30.0.11", "10.99.0.0/16 via 10.30.0.1", "default via 10.30.0.1"]
