"""A site that joins or leaves does not touch the links of the others: not a packet between them is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from constructs_lib.plan.model import ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.lab.asking import until
from tests.nodes.clusters import HYBRID, RELAYED
from tests.sites.conftest import MASTERS_PORT, reaches_home
from tests.sites.machine import LONG
from tests.sites.network import ASKING, PYTHON, Network
from tests.sites.test_keys import interface

pytestmark = [pytest.mark.root, pytest.mark.slow]
TWO, THREE = (plan(ClusterSpec.model_validate(spec)) for spec in (HYBRID, RELAYED))
BETWEEN = ("eu", "dc1")
WAN_PORT = 8302
"""Consul's servers speak TCP and UDP on it, from site to site."""
HEARD = "/run/stream"


def become(joined: Network, wanted: ClusterPlan) -> None:
    """As `nodes apply` does it where only peers change: files, the firewall, and a reload of the link."""
    for name in BETWEEN:
        site = joined.sites[name]
        site.plan = wanted.site(name)
        for machine in site.machines:
            site.put_files(machine)
            site.machines[machine].run("nft", "-f", "/etc/clustermesos/firewall.nft")
        site.link_reload()


@pytest.fixture
def pair(programs: None) -> Iterator[Network]:
    """Two joined sites that know nothing of the third, which stands there already."""
    joined = Network(THREE)
    try:
        for name in BETWEEN:
            joined.sites[name].plan = TWO.site(name)
        joined.build()
        joined.listen(MASTERS_PORT, WAN_PORT)
        for name in BETWEEN:
            site = joined.sites[name]
            site.router.run("ip", "route", "add", "10.50.0.0/16", "via", site.addresses["gateway-1"])
            site.link_up()
        joined.sites["dc2"].link_up()
        until("an agent reaches the home site", LONG, lambda: reaches_home(joined))
        yield joined
    finally:
        joined.end()


def turns(joined: Network) -> list[str]:
    place = joined.machine("dc1", "consul-1").at(HEARD)
    return place.read_text().splitlines() if place.exists() else []


def goes_on(joined: Network) -> None:
    """The stream makes further turns and has lost nothing so far."""
    so_far = len(turns(joined))
    until("the stream goes on", LONG, lambda: len(turns(joined)) > so_far + 10)
    assert set(turns(joined)) == {"heard"}


def routes(joined: Network, site: str) -> set[str]:
    shown = joined.sites[site].gateway.run("ip", "-4", "route", "show", "dev", "sites")
    return {line.split()[0] for line in shown.splitlines()}


def test_a_stream_between_two_sites_loses_nothing_while_a_third_joins_and_leaves(pair: Network) -> None:
    before = {name: interface(pair, name) for name in BETWEEN}
    caller = pair.machine("dc1", "consul-1")
    caller.starts(PYTHON, ASKING, pair.address("eu", "consul-1"), "stream", str(WAN_PORT), into=HEARD)
    goes_on(pair)
    assert not reaches_home(pair, "dc2")

    become(pair, THREE)

    until("the third site's agent reaches the home site", LONG, lambda: reaches_home(pair, "dc2"))
    assert routes(pair, "eu") == {"10.40.0.0/16", "10.50.0.0/16"}
    assert routes(pair, "dc1") == {"10.20.0.0/16", "10.50.0.0/16"}
    goes_on(pair)

    become(pair, TWO)

    until("the third site is out", LONG, lambda: not reaches_home(pair, "dc2"))
    assert routes(pair, "eu") == {"10.40.0.0/16"}
    assert routes(pair, "dc1") == {"10.20.0.0/16"}
    assert len(pair.sites["eu"].gateway.run("wg", "show", "sites", "peers").split()) == 1
    goes_on(pair)
    assert {name: interface(pair, name) for name in BETWEEN} == before


def test_a_smaller_packet_size_that_a_third_site_brings_holds_without_a_new_interface(pair: Network) -> None:
    before = interface(pair, "eu")
    site = pair.sites["eu"]
    given = site.gateway.at("/etc/clustermesos/site-link.json")
    given.write_text(given.read_text().replace('"mtu": 1420', '"mtu": 1320'))

    site.link_reload()

    assert " mtu 1320 " in site.gateway.run("ip", "link", "show", "sites")
    assert interface(pair, "eu") == before
    assert reaches_home(pair)
