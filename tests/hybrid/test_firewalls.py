"""What the clouds' security groups of linked sites let through: the plan's tables, both ends, and no more.

Rules are compared port by port and range by range, so that it does not matter how a cloud has them put.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network

import pytest

from constructs_lib.components.model import Role
from constructs_lib.plan.model import ClusterPlan, EgressRule, Passage, SitePlan, TrafficRule
from tests.hybrid.clusters import CASES, Json, cluster_plan, synthesized
from tests.synthesized import resources

Opened = tuple[str, str, str, str, str]
"""Direction, whose group, protocol, one port (of ICMP `type/code`), and the other end: a role or a range."""
RULES = {"aws": "aws_security_group_rule.", "openstack": "openstack_networking_secgroup_rule_v2."}
SITES = [
    (case, name)
    for case in CASES
    for name, site in cluster_plan(case).sites.items()
    if site.platform in RULES
]
WORLD = "0.0.0.0/0"


def opened(stack: Json, platform: str) -> list[Opened]:
    """Every port that the site's groups open, as often as they do."""
    return [
        one
        for address, body in resources(stack).items()
        if address.startswith(RULES[platform])
        for made in body["for_each"].values()
        for one in (_too_large(body, made) if body["protocol"] == "icmp" else _rule(body, made))
    ]


def _rule(body: Json, made: Json) -> Iterator[Opened]:
    for port in range(made["port"], made["last"] + 1):
        for peer in made.get("ranges") or [_end(made["peer"])]:
            yield _direction(body, made), _end(made["group"]), made["protocol"], str(port), peer


def _too_large(body: Json, made: Json | str) -> Iterator[Opened]:
    """ICMP has its type and code where others have the first and the last port."""
    first, last = ("from_port", "to_port") if "type" in body else ("port_range_min", "port_range_max")
    (peer,) = body.get("cidr_blocks") or [body["remote_ip_prefix"]]
    group = _end(made["group"] if isinstance(made, dict) else made)
    yield _direction(body, made), group, "icmp", f"{body[first]}/{body[last]}", peer


def _direction(body: Json, made: Json | str) -> str:
    said: str = body.get("type") or body["direction"]
    return made["direction"] if said.startswith("${") and isinstance(made, dict) else said


def _end(reference: str) -> str:
    return reference.split('"')[1] if '"' in reference else reference


def wanted(site: SitePlan) -> set[Opened]:
    """What the plan's tables say: traffic and egress as seen from the site, and what passes its gateway."""
    return {
        _named(site, one)
        for part in (_traffic(site), _passing(site), _outwards(site), _path_mtu(site))
        for one in part
    }


def _traffic(site: SitePlan) -> Iterator[Opened]:
    for rule in site.traffic:
        own: set[IPv4Network] = set()
        if rule.source in site.roles:
            own = {zone.roles[Role(rule.source)] for zone in site.zones}.intersection(rule.networks)
        if own:
            yield from _each("ingress", rule.to, rule, [rule.source])
            yield from _each("egress", Role(rule.source), rule, [rule.to])
        yield from _each("ingress", rule.to, rule, set(rule.networks) - own)


def _passing(site: SitePlan) -> Iterator[Opened]:
    """Nodes send to other sites by their range, and the gateway gets and hands on what comes and goes."""
    assert site.link is not None
    for passage in site.link.passages:
        if passage.source_site == site.name:
            yield from _each("egress", passage.source, passage.rule, passage.destinations)
            yield from _each("ingress", Role.GATEWAY, passage.rule, [passage.source])
        if passage.to_site == site.name:
            yield from _each("egress", Role.GATEWAY, passage.rule, [passage.rule.to])


def _outwards(site: SitePlan) -> Iterator[Opened]:
    for rule in site.egress:
        for role in set(rule.roles).intersection(site.roles):
            yield from _each("egress", role, rule, rule.networks)
    if site.platform == "openstack":
        # DNS passes the groups there; cluster.yaml names no resolver in these cases.
        for role in site.roles:
            for protocol in ("tcp", "udp"):
                yield "egress", role, protocol, "53", WORLD


def _path_mtu(site: SitePlan) -> Iterator[Opened]:
    for role in site.roles:
        for direction in ("ingress", "egress"):
            yield direction, role, "icmp", "3/4", str(site.network)


def _each(
    direction: str, group: Role, rule: TrafficRule | EgressRule, peers: Iterable[object]
) -> Iterator[Opened]:
    for peer in peers:
        for port in range(rule.port, rule.last + 1):
            yield direction, group.value, rule.protocol, str(port), str(peer)


def _named(site: SitePlan, one: Opened) -> Opened:
    """OpenStack knows the gateway by its range, since its group counts other sites' networks as its own."""
    direction, group, protocol, port, peer = one
    if site.platform == "openstack" and peer == Role.GATEWAY:
        (zone,) = site.zones
        peer = str(zone.roles[Role.GATEWAY])
    return direction, str(group), protocol, port, peer


@pytest.mark.parametrize(("case", "name"), SITES)
def test_a_linked_sites_groups_open_what_the_tables_say_once_and_nothing_else(case: str, name: str) -> None:
    site = cluster_plan(case).site(name)

    found = opened(synthesized(case)[1][name], site.platform)

    assert len(found) == len(set(found)) > 50
    assert set(found) == wanted(site)


@pytest.mark.parametrize(("case", "name"), SITES)
def test_nobody_of_another_site_is_let_in_but_by_a_passage(case: str, name: str) -> None:
    """And nothing is sent to another site but by one."""
    planned = cluster_plan(case)
    site = planned.site(name)
    assert site.link is not None
    others = [other.network for other in site.link.sites]

    found = opened(synthesized(case)[1][name], site.platform)

    # Operators are let in wherever they are, as cluster.yaml says.
    aside = {WORLD, *map(str, site.admin.networks)}
    across = {one for one in found if "/" in one[4] and one[4] not in aside and _inside(one[4], others)}
    assert across == {*_let_in(planned, name), *_sent(planned, name)}
    assert across


def _inside(text: str, networks: Iterable[IPv4Network]) -> bool:
    return any(IPv4Network(text).overlaps(network) for network in networks)


def _let_in(planned: ClusterPlan, name: str) -> Iterator[Opened]:
    for passage in _passages(planned):
        if passage.to_site == name:
            yield from _each("ingress", passage.rule.to, passage.rule, passage.sources)


def _sent(planned: ClusterPlan, name: str) -> Iterator[Opened]:
    for passage in _passages(planned):
        if passage.source_site == name:
            yield from _each("egress", passage.source, passage.rule, passage.destinations)


@pytest.mark.parametrize("case", CASES)
def test_every_passage_is_open_in_the_groups_of_both_ends_and_of_both_gateways(case: str) -> None:
    planned, stacks = cluster_plan(case), synthesized(case)[1]
    found = {
        name: set(opened(stacks[name], site.platform))
        for name, site in planned.sites.items()
        if site.platform in RULES
    }
    for passage in _passages(planned):
        rule, here, there = passage.rule, passage.source_site, passage.to_site
        ways = {
            here: [
                *_each("egress", passage.source, rule, passage.destinations),
                *_each("ingress", Role.GATEWAY, rule, [passage.source]),
            ],
            there: [
                *_each("egress", Role.GATEWAY, rule, [rule.to]),
                *_each("ingress", rule.to, rule, passage.sources),
            ],
        }
        for name in ways.keys() & found.keys():
            assert {_named(planned.site(name), one) for one in ways[name]} <= found[name], passage
    assert list(_passages(planned))


def _passages(planned: ClusterPlan) -> Iterator[Passage]:
    """Each once, of the site that it leads to."""
    for name, site in planned.sites.items():
        assert site.link is not None
        yield from (passage for passage in site.link.passages if passage.to_site == name)
