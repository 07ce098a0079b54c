from __future__ import annotations

from typing import Any

from constructs_lib.components.model import Role
from constructs_lib.plan.plan import plan
from constructs_lib.plan.traffic import EGRESS
from tests.plan.clusters import cluster

FULL: dict[str, Any] = {"agents": {"general": {"count": 1}}, "edge": {"count": 1}}


def names(role: Role, **site: Any) -> list[str]:
    return [rule.name for rule in plan(cluster(**site)).site("eu").traffic_to(role)]


def test_operators_reach_the_gateway_only() -> None:
    site = plan(cluster(**FULL)).site("eu")
    reachable = {rule.to for rule in site.traffic if rule.port == 22 and rule.source == "admin"}
    assert reachable == {Role.GATEWAY}


def test_every_role_but_the_gateway_is_logged_into_from_the_gateway() -> None:
    site = plan(cluster(**FULL)).site("eu")
    reachable = {rule.to for rule in site.traffic if rule.port == 22 and rule.source == "gateway"}
    assert reachable == {Role.MASTER, Role.CONSUL, Role.AGENT, Role.EDGE}


def test_nothing_is_open_to_the_whole_internet_by_default() -> None:
    site = plan(cluster(**FULL)).site("eu")
    assert not [rule for rule in site.traffic for network in rule.networks if network.prefixlen == 0]


def test_a_public_edge_is_open_to_the_networks_it_names_and_no_others() -> None:
    site = plan(cluster(edge={"public": True, "allow": ["198.51.100.0/24"]})).site("eu")
    public = [rule for rule in site.traffic if rule.source == "public"]
    assert [(rule.to, [str(network) for network in rule.networks]) for rule in public] == [
        (Role.EDGE, ["198.51.100.0/24"])
    ]


def test_no_rule_names_a_role_that_the_cluster_lacks() -> None:
    assert "zookeeper-client-from-agent" not in names(Role.MASTER)
    assert "zookeeper-client-from-agent" in names(Role.MASTER, agents={"p": {"count": 1}})


def test_rule_names_are_unique_per_role_and_every_rule_says_why() -> None:
    site = plan(cluster(**FULL)).site("eu")
    for role in Role:
        rules = site.traffic_to(role)
        assert len({rule.name for rule in rules}) == len(rules)
        assert all(rule.why for rule in rules)


def test_a_role_source_is_its_range_in_every_zone() -> None:
    site = plan(cluster()).site("eu")
    peer = next(rule for rule in site.traffic if rule.name == "zookeeper-peer-from-master")
    assert [str(network) for network in peer.networks] == ["10.20.16.0/22", "10.20.80.0/22", "10.20.144.0/22"]


def test_the_ports_of_a_proxy_and_of_mirrors_are_let_out_and_each_once() -> None:
    software = {
        "proxy": "http://proxy.example.org:3128",
        "apt_mirror": "http://mirror.example.org:8080/debian",
        "apt_security_mirror": "http://mirror.example.org:8081/debian-security",
        "image_prefix": "registry.example.org:5000/mirror",
        "components": {
            "docker": {"mirror": "http://mirror.example.org:8080/docker"},
            "zookeeper": {"mirror": "other.example.org:5001"},
        },
    }
    ports = [(rule.port, rule.protocol) for rule in plan(cluster(software=software)).site("eu").egress]
    assert ports == [
        (443, "tcp"),
        (80, "tcp"),
        (123, "udp"),
        *((n, "tcp") for n in (3128, 5000, 5001, 8080, 8081)),
    ]


def test_mirrors_on_usual_ports_let_nothing_more_out() -> None:
    software = {"proxy": "http://proxy.example.org:80", "apt_mirror": "https://mirror.example.org/ubuntu"}
    assert plan(cluster(software=software)).site("eu").egress == EGRESS


def alerts(*urls: str, **software: str) -> list[tuple[str, int, tuple[Role, ...]]]:
    spec = cluster(software=software)
    nodes = spec.nodes.model_copy(update={"alertmanagers": urls})
    planned = plan(spec.model_copy(update={"nodes": nodes})).site("eu")
    return [(rule.name, rule.port, rule.roles) for rule in planned.egress if rule not in EGRESS]


def test_consul_nodes_alone_are_let_out_to_alertmanagers_each_port_once() -> None:
    found = alerts("http://one:9093", "http://two:9093", "https://three:9094")

    assert found == [("alerts-9093", 9093, (Role.CONSUL,)), ("alerts-9094", 9094, (Role.CONSUL,))]


def test_an_alertmanager_on_a_port_that_is_open_anyway_needs_no_rule() -> None:
    assert alerts("https://alerts.example.org:443") == []
    [proxy] = alerts("http://alerts.example.org:3128", proxy="http://proxy.example.org:3128")
    assert proxy[0] == "software-3128"


def shared(**pools: dict[str, str]) -> list[tuple[int, int, list[str]]]:
    """First and last port and networks of what agents reach because of their pools' `shared`."""
    agents = {name: {"count": 1, "shared": share} for name, share in pools.items()}
    egress = plan(cluster(agents=agents)).site("eu").egress
    assert egress[: len(EGRESS)] == EGRESS
    own = egress[len(EGRESS) :]
    assert {rule.roles for rule in own} == {(Role.AGENT,)}
    assert len({rule.name for rule in own}) == len(own)
    return [(rule.port, rule.last, [str(network) for network in rule.networks]) for rule in own]


def test_agents_are_let_out_to_the_nfs_servers_of_their_pools() -> None:
    a, b = {"source": "10.9.0.5:/export"}, {"source": "10.9.0.6:/export"}
    assert shared(one=a) == [(2049, 2049, ["10.9.0.5/32"])]
    assert shared(one=a, two=b, three=a) == [(2049, 2049, ["10.9.0.5/32", "10.9.0.6/32"])]


def test_a_share_that_a_name_names_may_be_anywhere() -> None:
    named = {"source": "files.example.org:/export"}
    assert shared(one=named, two={"source": "10.9.0.5:/export"}) == [(2049, 2049, ["0.0.0.0/0"])]


def test_agents_are_let_out_to_cephs_monitors_and_daemons() -> None:
    ceph = {"source": "10.9.0.5,10.9.0.6:/", "type": "ceph"}
    anywhere = ["0.0.0.0/0"]
    assert shared(one=ceph) == [(3300, 3300, anywhere), (6789, 6789, anywhere), (6800, 7300, anywhere)]
