"""Keys that change while the link is up, as clustermesos nodes apply changes them: files, then a reload."""

from __future__ import annotations

import json

import pytest

from constructs_lib.secrets.values import new_value, wireguard_public_key
from tests.lab.asking import until
from tests.sites.conftest import reaches_home
from tests.sites.machine import LONG
from tests.sites.network import Network

pytestmark = [pytest.mark.root, pytest.mark.slow]


def interface(joined: Network, site: str) -> int:
    """The number of the tunnel's interface, another one when it was made anew."""
    [shown] = json.loads(joined.sites[site].gateway.run("ip", "-json", "link", "show", "sites"))
    return int(shown["ifindex"])


@pytest.mark.parametrize("site", ["eu", "dc1"])
def test_a_new_key_works_when_both_ends_have_it_and_no_interface_goes_down(
    hybrid: Network, site: str
) -> None:
    [other] = set(hybrid.sites) - {site}
    before = {name: interface(hybrid, name) for name in hybrid.sites}
    private = new_value("wireguard_key")
    new = {f"wireguard_key_{site}": private, f"wireguard_public_key_{site}": wireguard_public_key(private)}

    for name in (site, other):
        hybrid.sites[name].secrets.update(new)
        hybrid.sites[name].put_files("gateway-1")
        hybrid.sites[name].link_reload()

    until("the agent reaches the home site again", LONG, lambda: reaches_home(hybrid))
    shown = hybrid.sites[other].gateway.run("wg", "show", "sites", "peers")
    assert shown.split() == [wireguard_public_key(private)]
    assert {name: interface(hybrid, name) for name in hybrid.sites} == before


def test_with_the_new_key_at_one_end_alone_nothing_passes(hybrid: Network) -> None:
    private = new_value("wireguard_key")
    hybrid.sites["dc1"].secrets["wireguard_key_dc1"] = private
    hybrid.sites["dc1"].put_files("gateway-1")

    hybrid.sites["dc1"].link_reload()

    until("the home site does not know it", LONG, lambda: not reaches_home(hybrid))


def test_a_link_that_started_without_a_key_comes_up_with_it_and_no_interface_goes_down(
    hybrid: Network,
) -> None:
    home = hybrid.sites["eu"]
    home.gateway.put("/etc/wireguard/keys/dc1.pub", "damaged")
    home.link_down()
    home.link_up()
    before = interface(hybrid, "eu")
    assert not reaches_home(hybrid)

    home.put_files("gateway-1")
    home.link_reload()

    until("the agent reaches the home site", LONG, lambda: reaches_home(hybrid))
    assert interface(hybrid, "eu") == before
