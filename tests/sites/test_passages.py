"""What passes from one site to another, and that nothing else does: every node asks all of other sites."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from constructs_lib.components import COMPONENTS
from constructs_lib.components.site_link import SITE_LINK
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.lab.asking import seen, until
from tests.nodes.clusters import HYBRID, PLAIN_HOSTS, RELAYED
from tests.sites.machine import LONG, Machine
from tests.sites.network import AGENT, ANSWERING, ASKED, ASKING, PYTHON, Network, Place, asked, network

pytestmark = [pytest.mark.root, pytest.mark.slow]
GATEWAY = "gateway-1"
GOSSIP = {"tcp/8300", "tcp/8302", "udp/8302"}
HOME = ("eu", "master-1")
TO_HOME = {"tcp/2181", "tcp/5050"}
TO_REGISTRY = GOSSIP | {"tcp/5000"}
EXPECTED: dict[str, dict[tuple[Place, Place], set[str]]] = {
    "hybrid": {
        (("dc1", AGENT), HOME): TO_HOME,
        (("dc1", "consul-1"), ("eu", "consul-1")): TO_REGISTRY,
        (("eu", "consul-1"), ("dc1", "consul-1")): GOSSIP,
        (HOME, ("dc1", AGENT)): {"tcp/5051"},
    },
    "relayed": {
        (("dc1", AGENT), HOME): TO_HOME,
        (("dc2", AGENT), HOME): TO_HOME,
        (("dc1", "consul-1"), ("eu", "consul-1")): TO_REGISTRY,
        (("dc2", "consul-1"), ("eu", "consul-1")): TO_REGISTRY,
        (("eu", "consul-1"), ("dc1", "consul-1")): GOSSIP,
        (("eu", "consul-1"), ("dc2", "consul-1")): GOSSIP,
        (("dc1", "consul-1"), ("dc2", "consul-1")): GOSSIP,
        (("dc2", "consul-1"), ("dc1", "consul-1")): GOSSIP,
        (HOME, ("dc1", AGENT)): {"tcp/5051"},
        (HOME, ("dc2", AGENT)): {"tcp/5051"},
    },
}
"""(who, whom) → what answers; whoever is not here gets no answer at all."""
DECLARED = {port.number for component in COMPONENTS for port in component.ports}
# The tunnel has its port at the gateways.
PORTS = sorted((DECLARED | {4444}) - {SITE_LINK.port("wireguard").number})


def without_firewall(machine: Machine) -> None:
    machine.run("nft", "delete", "table", "inet", "clustermesos")


@pytest.fixture(
    params=[(HYBRID, "gateways"), (RELAYED, "gateways"), (HYBRID, "nodes"), (PLAIN_HOSTS, "gateways")],
    ids=["hybrid-gateways", "relayed-gateways", "hybrid-nodes", "routes-on-nodes"],
)
def joined(request: pytest.FixtureRequest, programs: None) -> Iterator[Network]:
    """Only the gateways' firewalls hold, or only those of all others: each has to be enough."""
    spec, holding = request.param
    with network(plan(ClusterSpec.model_validate(spec))) as made:
        made.listen(*PORTS)
        for site in made.sites.values():
            site.link_up()
            for name, machine in site.machines.items():
                if (name == GATEWAY) != (holding == "gateways"):
                    without_firewall(machine)
        yield made


def test_nodes_reach_what_the_plan_lets_through_with_their_own_address_and_nothing_else(
    joined: Network,
) -> None:
    expected = EXPECTED["hybrid" if len(joined.sites) == 2 else "relayed"]
    places = [(site, name) for site, made in joined.sites.items() for name in made.machines]
    # A gateway without its firewall answers everybody.
    targets = [p for p in places if p[1] != GATEWAY or joined.machine(*p).run("nft", "list", "tables")]
    pairs = [(one, other) for one in places for other in targets if one[0] != other[0]]
    for (source, target), wanted in expected.items():
        ask = partial(joined.ask, source, target, *PORTS)
        seen(f"{source} reaches {target}", LONG, ask, wanted.issubset)

    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(pairs, pool.map(lambda pair: joined.ask(*pair, *PORTS), pairs), strict=True))

    opened = {pair: set(answers) for pair, answers in found.items() if answers}
    assert set(opened) <= set(expected)
    for (source, target), wanted in expected.items():
        assert opened.get((source, target), set()) <= wanted
        assert set(found[source, target].values()) <= {joined.address(*source)}


def test_a_source_that_is_not_the_sites_own_never_arrives(hybrid: Network) -> None:
    sender, target = hybrid.sites["dc1"].gateway, hybrid.machine("eu", "consul-1")
    target.starts(PYTHON, ANSWERING, "8302", into=ASKED)
    until("it listens", LONG, lambda: asked(target))
    # A gateway in other hands, without its firewall: an address of the home site, and one that no role has.
    without_firewall(sender)
    without_firewall(target)
    for address in ("10.20.20.77", "10.40.200.1"):
        sender.run("ip", "address", "add", f"{address}/32", "dev", "lo")
        sender.run(PYTHON, ASKING, hybrid.address("eu", "consul-1"), "pretend", "8302", address)
    servers = ("dc1", "consul-1"), ("eu", "consul-1")
    until("an honest one arrives", LONG, lambda: "udp/8302" in hybrid.ask(*servers, 8302))

    assert set(asked(target)) - {"listens"} == {hybrid.address("dc1", "consul-1")}


def test_a_gateway_answers_other_sites_no_more_than_a_ping(hybrid: Network) -> None:
    target = hybrid.sites["eu"].gateway
    # Whatever the table says: from anywhere, as for the port of WireGuard itself.
    target.run("nft", "add", "rule", "inet", "clustermesos", "allowed", "tcp", "dport", "22", "accept")
    target.starts(PYTHON, ANSWERING, "22", into=ASKED)
    until("it listens", LONG, lambda: asked(target))

    for source in (GATEWAY, AGENT):
        assert hybrid.ask(("dc1", source), ("eu", GATEWAY), 22) == {}
    ping = (PYTHON, ASKING, hybrid.address("eu", GATEWAY), "ping")
    until("a ping is answered", LONG, lambda: hybrid.sites["dc1"].gateway.does(*ping).returncode == 0)
    assert asked(target) == ["listens"]
