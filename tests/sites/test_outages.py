"""A link that was cut comes back by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.lab.asking import LONG as LONGEST
from tests.lab.asking import seen, until
from tests.nodes.clusters import HYBRID
from tests.sites.conftest import MASTERS_PORT, OTHER_PORT, reaches_home
from tests.sites.machine import LONG
from tests.sites.network import AGENT, PUBLIC, Network, network

pytestmark = [pytest.mark.root, pytest.mark.slow]
NAME = "vpn.example.org"
SITE_LINK = "/usr/local/sbin/site-link"
HOME = ("eu", "master-1")


def cut(joined: Network, site: str) -> None:
    joined.internet.run("ip", "link", "set", site, "down")
    until("the link is down", LONG, lambda: not reaches_home(joined))


def test_a_cut_link_comes_back_when_the_internet_does(hybrid: Network) -> None:
    cut(hybrid, "dc1")
    assert not hybrid.ask(HOME, ("dc1", AGENT), OTHER_PORT)

    hybrid.internet.run("ip", "link", "set", "dc1", "up")

    until("the agent reaches the home site again", LONG, lambda: reaches_home(hybrid))
    until("the master reaches the agent", LONG, lambda: hybrid.ask(HOME, ("dc1", AGENT), OTHER_PORT))


def test_a_site_reaches_its_own_nodes_while_it_is_cut_off(hybrid: Network) -> None:
    cut(hybrid, "eu")

    until(
        "the home site's agent reaches its master",
        LONG,
        lambda: hybrid.ask(("eu", AGENT), HOME, MASTERS_PORT) == {"tcp/5050": hybrid.address("eu", AGENT)},
    )


def test_a_link_that_loses_every_fifth_packet_still_carries_much(hybrid: Network) -> None:
    hybrid.loses(20)

    assert hybrid.send(("dc1", AGENT), HOME, MASTERS_PORT, 200_000)


@pytest.mark.parametrize("site", ["eu", "dc1"])
def test_a_gateway_that_was_started_anew_is_found_again(hybrid: Network, site: str) -> None:
    hybrid.sites[site].link_down()
    until("the link is down", LONG, lambda: not reaches_home(hybrid))

    hybrid.sites[site].link_up()

    until("the agent reaches the home site again", LONGEST, lambda: reaches_home(hybrid))


def test_a_caller_whose_public_address_changed_is_followed(hybrid: Network) -> None:
    hybrid.sites["dc1"].moves(hybrid.internet, "198.51.100.20")

    until("the agent reaches the home site again", LONGEST, lambda: reaches_home(hybrid))
    assert "198.51.100.20:" in hybrid.sites["eu"].gateway.run("wg", "show", "sites", "endpoints")


def test_a_caller_is_reached_after_a_silence_in_which_its_router_would_have_forgotten_it(
    hybrid: Network,
) -> None:
    # Half a minute is the least that a router remembers.
    hybrid.sites["dc1"].router.run(
        "sysctl", "-qw", *(f"net.netfilter.nf_conntrack_udp_timeout{kind}=28" for kind in ("", "_stream"))
    )
    assert reaches_home(hybrid)

    time.sleep(60)

    assert any(hybrid.ask(HOME, ("dc1", AGENT), OTHER_PORT) for _ in range(3))


def test_show_says_when_each_site_was_heard(hybrid: Network) -> None:
    said = hybrid.sites["dc1"].gateway.run(SITE_LINK, "show")

    assert said.startswith("eu: heard ")
    assert said.endswith(" s ago, 10.20.0.0/16\n")


def test_a_tunnel_that_ended_leaves_no_key_and_a_gateway_that_passes_nothing_on(hybrid: Network) -> None:
    gateway = hybrid.sites["dc1"].gateway
    assert gateway.run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "1"

    hybrid.sites["dc1"].link_down()

    assert gateway.run("sysctl", "-n", "net.ipv4.ip_forward").strip() == "0"
    assert [path.name for path in gateway.at("/etc/wireguard").iterdir()] == ["keys"]


def test_show_without_a_link_is_one_line(hybrid: Network) -> None:
    hybrid.sites["dc1"].link_down()

    done = hybrid.sites["dc1"].gateway.does(SITE_LINK, "show")

    assert done.returncode == 1
    assert done.stderr.startswith("site-link: Unable to access interface: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def named(programs: None) -> Iterator[Network]:
    """The home site's gateway is called by a name, which nobody knows yet."""
    spec: dict[str, Any] = json.loads(json.dumps(HYBRID))
    spec["sites"]["eu"]["link"] = {"endpoint": NAME}
    with network(plan(ClusterSpec.model_validate(spec))) as joined:
        joined.listen(MASTERS_PORT)
        for site in joined.sites.values():
            site.link_up()
        yield joined


def test_a_gateway_is_found_by_its_name_and_again_when_the_name_has_another_address(named: Network) -> None:
    caller = named.sites["dc1"].gateway
    unknown = caller.does(SITE_LINK, "watch")
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("site-link: eu: ")
    assert len(unknown.stderr.splitlines()) == 1

    hosts = caller.at("/etc/hosts").read_text()
    caller.put("/etc/hosts", f"{hosts}\n{PUBLIC['eu']} {NAME}\n")
    assert caller.does(SITE_LINK, "watch").returncode == 0
    until("the agent reaches the home site", LONG, lambda: reaches_home(named))

    named.sites["eu"].moves(named.internet, "192.0.2.20")
    caller.put("/etc/hosts", f"{hosts}\n192.0.2.20 {NAME}\n")
    # As its timer does, but after another silence than the 135 s below which it calls nobody anew.
    assert caller.does(SITE_LINK, "watch").returncode == 0
    assert f"{PUBLIC['eu']}:" in caller.run("wg", "show", "sites", "endpoints")
    soon = ("env", "SITE_LINK_SILENT=5", SITE_LINK, "watch")
    seen(
        "the agent reaches the home site again",
        LONGEST,
        lambda: (caller.does(*soon).returncode, reaches_home(named)),
        lambda found: found == (0, True),
    )
    assert "192.0.2.20:" in caller.run("wg", "show", "sites", "endpoints")
