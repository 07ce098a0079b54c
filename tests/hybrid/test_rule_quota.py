"""Many sites of many zones need more rules in a security group than AWS' quota takes."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.aws import Firewall, Network
from constructs_lib.errors import SpecError
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.terraform import TerraformStack
from tests.aws.clusters import Json, resources, synthesize
from tests.nodes.clusters import HYBRID


def firewall(sites: int, **aws: Any) -> Json:
    """The home site's, in a cluster of so many AWS sites of three zones each."""
    home, region = HYBRID["sites"]["eu"], {"region": "eu-west-3"}
    named = {
        f"site{number}": {
            "platform": "aws",
            "aws": region,
            "network": f"10.{100 + number}.0.0/16",
            "zones": 3,
            "agents": home["agents"],
        }
        for number in range(1, sites)
    }
    spec = {**HYBRID, "sites": {"eu": {**home, "zones": 3, "aws": {**region, **aws}}, **named}}
    site = plan(ClusterSpec.model_validate(spec)).site("eu")
    return synthesize(lambda stack: _build(stack, site))


def _build(stack: TerraformStack, site: Any) -> None:
    Firewall(stack, "fw", plan=site, network=Network(stack, "net", plan=site))


def test_one_rule_too_many_is_refused_with_the_field_and_the_way_out() -> None:
    with pytest.raises(SpecError) as refused:
        firewall(5)

    said = str(refused.value)
    assert said.startswith("sites.eu.aws.rules_per_group: got 60, expected at least ")
    assert "ingress rules of the group of consul nodes" in said
    assert "have AWS raise its quota" in said


def test_a_raised_quota_that_is_said_is_enough_to_the_last_rule() -> None:
    with pytest.raises(SpecError) as refused:
        firewall(5)
    needed = int(str(refused.value).partition("at least ")[2].partition(",")[0])

    with pytest.raises(SpecError):
        firewall(5, rules_per_group=needed - 1)
    stack = firewall(5, rules_per_group=needed)

    made = [
        rule
        for address, body in resources(stack).items()
        if address.startswith("aws_security_group_rule.") and body["type"] == "ingress"
        for rule in body["for_each"].values()
        if isinstance(rule, dict) and '"consul"' in rule["group"]
    ]
    # And the word that a packet was too large.
    assert sum(len(rule.get("ranges", "1")) for rule in made) + 1 == needed


def test_three_sites_of_three_zones_are_below_the_quota_that_every_account_has() -> None:
    assert firewall(3)["resource"]["aws_security_group_rule"]
