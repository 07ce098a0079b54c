from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.aws import Firewall, Network
from constructs_lib.components.model import Peer, Role
from constructs_lib.errors import SpecError
from constructs_lib.plan.model import EgressRule, SitePlan
from constructs_lib.terraform import TerraformStack
from tests.aws.clusters import CASES, Json, only, resources, site_plan, synthesize

RULE = "aws_security_group_rule."


def firewall(site: SitePlan, roles: list[Role] | None = None) -> Json:
    def build(stack: TerraformStack) -> None:
        Firewall(stack, "fw", plan=site, network=Network(stack, "net", plan=site), roles=roles)

    return synthesize(build)


def rules(stack: Json, kind: str) -> Iterator[tuple[str, Json]]:
    for address, body in resources(stack).items():
        if address.startswith(RULE) and body["type"] == kind:
            yield from body["for_each"].items()


@pytest.mark.parametrize("case", CASES)
def test_every_line_of_the_traffic_table_is_let_in_once_and_nothing_else_is(case: str) -> None:
    site = site_plan(case)

    ingress = list(rules(firewall(site), "ingress"))

    assert sorted(key for key, _ in ingress) == sorted(f"{rule.to}/{rule.name}" for rule in site.traffic)
    by_key = dict(ingress)
    for rule in site.traffic:
        made = by_key[f"{rule.to}/{rule.name}"]
        assert (made["port"], made["last"], made["protocol"]) == (rule.port, rule.last, rule.protocol)
        assert made["group"] == f'aws_security_group.fw["{rule.to}"].id'
        if isinstance(rule.source, Role):
            assert made["peer"] == f'aws_security_group.fw["{rule.source}"].id'
        else:
            assert made["ranges"] == [str(network) for network in rule.networks]


@pytest.mark.parametrize("case", CASES)
def test_whoever_is_let_in_is_let_out_at_the_other_end(case: str) -> None:
    site = site_plan(case)

    out = {key: made for key, made in rules(firewall(site), "egress") if "peer" in made}

    asked = {
        (rule.source, rule.to, rule.port, rule.protocol)
        for rule in site.traffic
        if isinstance(rule.source, Role)
    }
    assert len(out) == len(asked)
    for key, made in out.items():
        source = key.split("/")[0]
        assert any(
            (source, made["port"], made["protocol"]) == (role, port, protocol) and f'["{to}"]' in made["peer"]
            for role, to, port, protocol in asked
        )


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_open_to_the_world(case: str) -> None:
    for key, made in rules(firewall(site_plan(case)), "ingress"):
        assert "0.0.0.0/0" not in made.get("ranges", []), key


def test_every_role_may_reach_what_the_plan_says_and_no_more() -> None:
    site = site_plan()
    outside = {key: made for key, made in rules(firewall(site), "egress") if "ranges" in made}

    roles = ["master", "consul", "agent", "gateway", "edge"]
    assert sorted(outside) == sorted(f"{role}/{egress.name}" for role in roles for egress in site.egress)


def test_agents_alone_reach_what_their_pools_share() -> None:
    share = IPv4Network("10.9.0.5/32")
    nfs = EgressRule(
        name="shared",
        port=6800,
        range_end=7300,
        protocol="tcp",
        networks=(share,),
        why="w",
        roles=(Role.AGENT,),
    )
    site = site_plan()
    made = dict(rules(firewall(dataclasses.replace(site, egress=(nfs,))), "egress"))

    assert [key for key in made if key.endswith("/shared")] == ["agent/shared"]
    rule = made["agent/shared"]
    assert (rule["port"], rule["last"], rule["ranges"]) == (6800, 7300, ["10.9.0.5/32"])


@pytest.mark.parametrize("case", CASES)
def test_descriptions_hold_only_what_aws_takes(case: str) -> None:
    for kind in ("ingress", "egress"):
        for key, made in rules(firewall(site_plan(case)), kind):
            assert re.fullmatch(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}", made["why"]), key


def test_a_public_edge_lets_in_the_allowed_networks_only() -> None:
    found = {key: made for key, made in rules(firewall(site_plan("whole")), "ingress") if Peer.PUBLIC in key}

    assert [made["ranges"] for made in found.values()] == [["198.51.100.0/24"]]


def test_a_role_made_elsewhere_is_let_in_by_its_range() -> None:
    site = site_plan()

    ingress = dict(rules(firewall(site, [Role.AGENT]), "ingress"))

    assert ingress["agent/base-ssh-inside-from-gateway"]["ranges"] == [
        str(zone.roles[Role.GATEWAY]) for zone in site.zones
    ]


def test_agents_alone_may_reach_masters_made_elsewhere() -> None:
    site = site_plan()

    egress = dict(rules(firewall(site, [Role.AGENT]), "egress"))

    assert egress["agent/zookeeper-client-to-master"]["ranges"] == [
        f"{address}/32" for address in site.masters
    ]


def test_a_role_without_a_group_is_an_error_that_names_those_there_are() -> None:
    site = site_plan()

    def build(stack: TerraformStack) -> Any:
        network = Network(stack, "net", plan=site)
        Firewall(stack, "fw", plan=site, network=network, roles=[Role.AGENT]).group_id(Role.MASTER)

    with pytest.raises(SpecError, match="agent"):
        synthesize(build)


def test_the_firewall_knows_no_port_number() -> None:
    source = Path(__file__).parents[2] / "constructs_lib" / "aws" / "firewall.py"
    numbers = {int(found) for found in re.findall(r"(?<![\w.])\d{2,5}(?![\w.])", source.read_text())}

    assert not numbers & {rule.port for case in CASES for rule in site_plan(case).traffic}


def test_the_rules_are_local_values_which_terraform_works_out_once() -> None:
    stack = firewall(site_plan())

    for name, body in stack["resource"]["aws_security_group_rule"].items():
        assert body["for_each"] == f"${{local.{name}_rules}}"


def test_groups_are_named_by_cluster_site_and_role() -> None:
    group = only(firewall(site_plan()), "aws_security_group")

    assert group["name"] == "demo-eu-${each.key}"
    assert sorted(group["for_each"]) == ["agent", "consul", "edge", "gateway", "master"]
