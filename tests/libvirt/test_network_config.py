"""A machine's network config, read by cloud-init's own renderers and, of what it writes, by netplan."""

from __future__ import annotations

import json
import os
import re
import subprocess
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import need
from tests.libvirt.clusters import CASES, cluster_stack, of_kind, site_plan

MAC = "52:54:0a:14:00:0b"
ROUTERS = {
    "small": ("10.30.0.1", ["10.30.0.1"]),
    "private": ("10.20.0.1", ["10.20.0.1"]),
    "whole": ("10.20.0.2", ["10.20.0.3", "9.9.9.9"]),
}
"""Case → router and resolvers of its network."""
RENDERS = """
import json, sys
from cloudinit.net import eni, netplan, network_state, networkd

root, config = sys.argv[1], json.load(sys.stdin)
state = network_state.parse_net_config_data(config, skip_broken=False)
netplan.Renderer({"netplan_path": "etc/netplan/50-cloud-init.yaml"}).render_network_state(state, target=root)
paths = {"eni_path": "etc/network/interfaces", "netrules_path": None}
eni.Renderer(paths).render_network_state(state, target=root)
# Files that belong to systemd-network, which need not be here.
networkd.util.chownbyname = lambda *names: None
networkd.Renderer({}).render_network_state(state, target=root)
"""
"""As on a machine's first boot, but for the root and for the programs that would bring the card up."""


def network_config(case: str) -> tuple[dict[str, Any], IPv4Interface]:
    """What master-1's drive says, with its values where Terraform puts them; and its address."""
    site = site_plan(case)
    stack = cluster_stack(site)
    text = of_kind(stack, "libvirt_cloudinit_disk.")[f"{site.cluster}_masters_drive"]["network_config"]
    address = next(node.address for node in site.nodes if node.name == "master-1")
    text = re.sub(r'\$\{format\("52:54:.*\)\}', MAC, text).replace("${each.value.address}", str(address))
    assert "${" not in text
    config: dict[str, Any] = yaml.safe_load(text)
    [subnet] = config["config"][0]["subnets"]
    own = IPv4Interface(subnet["address"])
    assert own.ip == address
    return config, own


@pytest.fixture(params=CASES)
def rendered(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, IPv4Interface, Path]:
    """The case, master-1's address, and the root that cloud-init wrote to for each renderer."""
    need("cloud-init")
    config, own = network_config(request.param)
    done = subprocess.run(
        ["/usr/bin/python3", "-c", RENDERS, str(tmp_path)],
        input=json.dumps(config),
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return request.param, own, tmp_path


def sections(path: Path) -> dict[str, dict[str, list[str]]]:
    """A unit's file of systemd-networkd, where a key may stand several times."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif "=" in line:
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found


def test_netplan_gives_the_card_its_address_mtu_default_route_and_resolvers(
    rendered: tuple[str, IPv4Interface, Path],
) -> None:
    case, own, root = rendered
    gateway, resolvers = ROUTERS[case]

    done = subprocess.run(
        [need("netplan"), "generate", "--root-dir", str(root)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    units = root / "run" / "systemd" / "network"
    network, link = sections(units / "10-netplan-eth0.network"), sections(units / "10-netplan-eth0.link")
    assert network["Match"] == {"PermanentMACAddress": [MAC], "Name": ["eth0"]}
    assert link["Match"] == {"PermanentMACAddress": [MAC]}
    assert link["Link"]["Name"] == ["eth0"]
    assert network["Link"]["MTUBytes"] == [str(site_plan(case).mtu)]
    assert network["Network"]["Address"] == [str(own)]
    assert network["Network"]["DNS"] == resolvers
    assert network["Network"]["Gateway"] == [gateway]


def test_networkd_alone_gives_it_the_same(rendered: tuple[str, IPv4Interface, Path]) -> None:
    case, own, root = rendered
    gateway, resolvers = ROUTERS[case]

    [path] = (root / "etc" / "systemd" / "network").glob("*-eth0.network")
    network = sections(path)

    assert network["Match"] == {"Name": ["eth0"], "MACAddress": [MAC]}
    assert network["Link"] == {"MTUBytes": [str(site_plan(case).mtu)]}
    assert network["Address"] == {"Address": [str(own)]}
    assert " ".join(network["Network"]["DNS"]).split() == resolvers
    assert network["Route"] == {"Gateway": [gateway]}


def test_ifupdown_gives_it_the_same_without_a_program_of_net_tools(
    rendered: tuple[str, IPv4Interface, Path],
) -> None:
    case, own, root = rendered
    gateway, resolvers = ROUTERS[case]

    text = (root / "etc" / "network" / "interfaces").read_text()
    stanza = text.partition("iface eth0 inet static\n")[2].partition("\n\n")[0]
    options = dict(line.split(maxsplit=1) for line in stanza.splitlines() if line.strip())

    assert options["address"] == str(own)
    assert options["gateway"] == gateway
    assert options["mtu"] == str(site_plan(case).mtu)
    assert options["dns-nameservers"].split() == resolvers
    assert "route add" not in text
