from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.openstack import Firewall
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import TerraformStack
from tests.openstack.clusters import CASES, Json, resources, site_plan, synthesize

RULE = "openstack_networking_secgroup_rule_v2."
Rule = tuple[str, str, int, int, str]
"""Group, protocol, ports, and the other end: a role or a range."""


def firewall(site: SitePlan, roles: list[Role] | None = None) -> Json:
    def build(stack: TerraformStack) -> None:
        Firewall(stack, "fw", plan=site, roles=roles)

    return synthesize(build)


def bodies(stack: Json, direction: str) -> Iterator[Json]:
    for address, body in resources(stack).items():
        if address.startswith(RULE) and body["direction"] == direction:
            yield body


def rules(stack: Json, direction: str) -> list[Rule]:
    return [
        (end(made["group"]), made["protocol"], made["port"], made["last"], end(made["peer"]))
        for body in bodies(stack, direction)
        for made in body["for_each"].values()
    ]


def named(found: Iterable[Rule], site: SitePlan) -> set[Rule]:
    """The rules with the gateway by its role, not by its ranges."""
    ranges = {str(zone.roles[Role.GATEWAY]) for zone in site.zones}
    return {(*what, "gateway" if peer in ranges else peer) for *what, peer in found}  # type: ignore[misc]  # a tuple of five


def end(reference: str) -> str:
    return reference.split('"')[1] if '"' in reference else reference


@pytest.mark.parametrize("case", CASES)
def test_every_line_of_the_traffic_table_is_let_in_once_and_nothing_else_is(case: str) -> None:
    site = site_plan(case)

    found = rules(firewall(site), "ingress")

    wanted = {
        (rule.to.value, rule.protocol, rule.port, rule.last, peer)
        for rule in site.traffic
        for peer in (
            [rule.source.value] if isinstance(rule.source, Role) else [str(one) for one in rule.networks]
        )
    }
    assert len(found) == len(set(found))
    assert named(found, site) == wanted


@pytest.mark.parametrize("case", CASES)
def test_whoever_is_let_in_is_let_out_at_the_other_end(case: str) -> None:
    site = site_plan(case)
    stack = firewall(site)
    roles = {role.value for role in Role}

    let_in = {rule for rule in named(rules(stack, "ingress"), site) if rule[4] in roles}
    let_out = {rule for rule in named(rules(stack, "egress"), site) if rule[4] in roles}

    assert {(peer, *what, group) for group, *what, peer in let_in} == let_out


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_open_to_the_world(case: str) -> None:
    assert not [rule for rule in rules(firewall(site_plan(case)), "ingress") if rule[4] == "0.0.0.0/0"]


def test_every_role_may_reach_what_the_plan_says_its_resolvers_and_no_more() -> None:
    site = site_plan("whole")
    stack = firewall(site)

    outside = {rule for rule in named(rules(stack, "egress"), site) if "/" in rule[4]}

    planned = {
        (role.value, egress.protocol, egress.port, egress.last, str(network))
        for egress in site.egress
        for role in site.roles
        if role in egress.roles
        for network in egress.networks
    }
    resolvers = {
        (role.value, protocol, 53, 53, server)
        for role in site.roles
        for protocol in ("tcp", "udp")
        for server in ("10.9.0.2/32", "9.9.9.9/32")
    }
    assert outside == planned | resolvers


def test_a_role_that_something_else_made_is_let_in_by_its_range() -> None:
    site = site_plan()

    found = rules(firewall(site, roles=[Role.AGENT]), "ingress")

    assert ("agent", "tcp", 22, 22, "10.20.0.0/22") in found
    assert {rule[0] for rule in found} == {"agent"}


def test_the_group_of_a_role_that_the_firewall_lacks_is_refused() -> None:
    def build(stack: TerraformStack) -> None:
        Firewall(stack, "fw", plan=site_plan(), roles=[Role.AGENT]).group_id(Role.MASTER)

    with pytest.raises(SpecError, match="got 'master', expected one of \\['agent'\\]"):
        synthesize(build)


def test_the_gateway_is_named_by_range_so_that_its_groups_members_are_never_other_sites_networks() -> None:
    stack = firewall(site_plan())
    peers = [
        made["peer"]
        for where in ("ingress", "egress")
        for body in bodies(stack, where)
        for made in body["for_each"].values()
    ]
    assert "10.20.0.0/22" in peers
    assert not [peer for peer in peers if "gateway" in peer]
