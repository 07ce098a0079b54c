"""Packets that fit: what both sides send is as small as the tunnel takes, whatever lies between the sites."""

from __future__ import annotations

import json

import pytest

from tests.lab.asking import until
from tests.sites.conftest import MASTERS_PORT
from tests.sites.machine import LONG
from tests.sites.network import AGENT, ANSWERING, ASKED, ASKING, PYTHON, Network

pytestmark = [pytest.mark.root, pytest.mark.slow]
MANY = 5_000_000
"""Bytes, thousands of packets."""


@pytest.mark.parametrize("size", [1500, 1400])
def test_much_passes_both_ways_where_the_internet_takes_packets_of(size: int, hybrid: Network) -> None:
    hybrid.mtu(size)

    largest = hybrid.send(("dc1", AGENT), ("eu", "master-1"), MASTERS_PORT, MANY)

    assert 500 < largest <= 1320 - 40


def test_a_datagram_that_is_larger_than_the_tunnel_takes_arrives_in_pieces(hybrid: Network) -> None:
    source, target = hybrid.machine("dc1", "consul-1"), hybrid.machine("eu", "consul-1")
    target.starts(PYTHON, ANSWERING, "8302", into=ASKED)
    # As Consul's gossip may be.
    words = (hybrid.address("eu", "consul-1"), "datagram", "8302", "1400")

    until("it is answered", LONG, lambda: source.does(PYTHON, ASKING, *words).returncode == 0)


def test_the_tunnel_takes_what_the_plan_says(hybrid: Network) -> None:
    for site in hybrid.sites.values():
        [device] = json.loads(site.gateway.run("ip", "-json", "link", "show", "sites"))
        assert site.plan.link is not None
        assert device["mtu"] == site.plan.link.mtu == 1320


def test_much_passes_where_nobody_says_that_a_packet_was_too_large(hybrid: Network) -> None:
    for site in hybrid.sites.values():
        for machine in (site.gateway, site.router, hybrid.internet):
            machine.drops("silent", "output", "icmp type destination-unreachable")
    hybrid.mtu(1400)

    assert hybrid.send(("dc1", AGENT), ("eu", "master-1"), MASTERS_PORT, MANY)
