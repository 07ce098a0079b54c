"""The programs that a link needs, and networks of planned clusters whose links are up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.conftest import need, tool
from tests.lab.asking import until
from tests.nodes.clusters import HYBRID
from tests.sites.machine import LONG
from tests.sites.network import AGENT, Network, network

MASTERS_PORT, OTHER_PORT = 5050, 5051


@pytest.fixture
def programs(root: None) -> None:
    """Skips by name where this machine has not all of them."""
    for program in ("wg-quick", "nft", "ip", "nsenter", "unshare"):
        need(program)
    tool("wireguard-go")


@pytest.fixture
def hybrid(programs: None) -> Iterator[Network]:
    """A home site and one that calls it, joined."""
    with network(plan(ClusterSpec.model_validate(HYBRID))) as joined:
        joined.listen(MASTERS_PORT, OTHER_PORT)
        for site in joined.sites.values():
            site.link_up()
        until("an agent reaches the home site", LONG, lambda: reaches_home(joined))
        yield joined


def reaches_home(joined: Network, site: str = "dc1") -> bool:
    """Whether an agent of another site gets the masters' answer."""
    found = joined.ask((site, AGENT), ("eu", "master-1"), MASTERS_PORT)
    return found == {f"tcp/{MASTERS_PORT}": joined.address(site, AGENT)}
